import { Component, onMounted, onWillUnmount, xml } from "@odoo/owl";
import { browser } from "@web/core/browser/browser";
import { registry } from "@web/core/registry";
import { standardFieldProps } from "@web/views/fields/standard_field_props";

const PAUSE = 1_000;

/**
 * Reads the record again every second while the field is set: what was ordered comes back by and
 * by. A hidden page waits until it is seen, and what a person is typing is left alone.
 */
export class WaitingField extends Component {
    static template = xml`
        <i t-if="props.record.data[props.name]" class="fa fa-circle-o-notch fa-spin" role="status"/>`;
    static props = { ...standardFieldProps };

    setup() {
        this.isLoading = false;
        onMounted(() => {
            this.timer = browser.setInterval(() => this.look(), PAUSE);
        });
        onWillUnmount(() => browser.clearInterval(this.timer));
    }

    async look() {
        const { record, name } = this.props;
        if (this.isLoading || document.hidden || !record.data[name] || !record.resId) {
            return;
        }
        if (await record.isDirty()) {
            return;
        }
        this.isLoading = true;
        try {
            await record.load();
        } finally {
            this.isLoading = false;
        }
    }
}

registry.category("fields").add("energy_waiting", {
    component: WaitingField,
    supportedTypes: ["boolean"],
});
