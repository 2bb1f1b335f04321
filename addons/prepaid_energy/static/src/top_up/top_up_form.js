import { useHotkey } from "@web/core/hotkeys/hotkey_hook";
import { registry } from "@web/core/registry";
import { FormController } from "@web/views/form/form_controller";
import { formView } from "@web/views/form/form_view";
import { onMounted, useEffect } from "@odoo/owl";
import { printPages } from "../print/print_page";

/** The counter works by keyboard: Enter goes on, and in the end presses the first button. */
class TopUpFormController extends FormController {
    setup() {
        super.setup();
        useHotkey("enter", ({ target }) => this.rootRef.el && this.pressFirstButton(target), {
            bypassEditableProtection: true,
        });
        // Who is there is known: what they pay is next.
        useEffect(
            (account, state) => {
                if (account && state === "typed") {
                    this.focusAmount();
                }
            },
            () => [this.model.root.data.account_id?.id, this.model.root.data.state]
        );
        onMounted(() => printPages(this.props.context.energy_print || []));
    }

    focusAmount() {
        const input = this.rootRef.el?.querySelector("div[name=amount] input");
        input?.focus();
        input?.select();
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
