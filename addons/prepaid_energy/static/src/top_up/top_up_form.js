import { useHotkey } from "@web/core/hotkeys/hotkey_hook";
import { registry } from "@web/core/registry";
import { FormController } from "@web/views/form/form_controller";
import { formView } from "@web/views/form/form_view";

/** The counter works by keyboard: Enter presses the dialog's first button. */
class TopUpFormController extends FormController {
    setup() {
        super.setup();
        useHotkey("enter", ({ target }) => this.rootRef.el && this.pressFirstButton(target), {
            bypassEditableProtection: true,
        });
    }

    pressFirstButton(target) {
        // A list of proposals takes Enter for itself.
        if (target.closest(".o-autocomplete, .o_select_menu, button, textarea")) {
            return;
        }
        const dialog = this.rootRef.el.closest(".modal-content") || this.rootRef.el;
        dialog.querySelector("footer button.btn-primary:not(.d-none)")?.click();
    }
}

registry.category("views").add("energy_top_up_form", {
    ...formView,
    Controller: TopUpFormController,
});
