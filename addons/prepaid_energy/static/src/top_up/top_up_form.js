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
        useHotkey("enter", ({ target }) => this.goOn(target), {
            bypassEditableProtection: true,
            // A list of proposals and a button take Enter for themselves.
            isAvailable: (target) =>
                !target.closest(".o-autocomplete, .o_select_menu, button, textarea"),
        });
        useEffect(
            (account, state) => {
                if (state !== "typed") {
                    this.firstButton?.focus();
                } else if (account) {
                    // Who is there is known: what they pay is next.
                    this.focusAmount();
                }
            },
            () => [this.model.root.data.account_id?.id, this.model.root.data.state]
        );
        onMounted(() => printPages(this.props.context.energy_print || []));
    }

    /** Press the first button, unless a reference is still to be typed. */
    goOn(target) {
        const reference = this.rootRef.el?.querySelector("div[name=reference] input");
        const isMissing = this.model.root.data.needs_reference && reference?.value === "";
        if (isMissing && reference !== target) {
            reference.focus();
        } else {
            this.firstButton?.click();
        }
    }

    focusAmount() {
        const input = this.rootRef.el?.querySelector("div[name=amount] input");
        input?.focus();
        input?.select();
    }

    get firstButton() {
        const dialog = this.rootRef.el?.closest(".modal-content") || this.rootRef.el;
        return dialog?.querySelector("footer button.btn-primary:not(.d-none)");
    }
}

registry.category("views").add("energy_top_up_form", {
    ...formView,
    Controller: TopUpFormController,
});
