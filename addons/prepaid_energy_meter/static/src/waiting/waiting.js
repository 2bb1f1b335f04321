import { browser } from "@web/core/browser/browser";
import { registry } from "@web/core/registry";
import { standardWidgetProps } from "@web/views/widgets/standard_widget_props";
import { Component, onMounted, onWillUnmount } from "@odoo/owl";

const PAUSE = 2_000;

/**
 * A banner that is there while an order is under way, and reads the form again until it is not.
 * What is being typed stays: a form with changes is left alone.
 */
export class Waiting extends Component {
    static template = "prepaid_energy_meter.Waiting";
    static props = { ...standardWidgetProps, field: String };

    setup() {
        let timer = null;
        onMounted(() => {
            timer = browser.setInterval(() => this.refresh(), PAUSE);
        });
        onWillUnmount(() => browser.clearInterval(timer));
    }

    get isWaiting() {
        return Boolean(this.props.record.data[this.props.field]);
    }

    async refresh() {
        const { record } = this.props;
        if (this.isWaiting && record.resId && !document.hidden && !(await record.isDirty())) {
            await record.load();
        }
    }
}

registry.category("view_widgets").add("energy_waiting", {
    component: Waiting,
    fieldDependencies: [],
    extractProps: ({ attrs }) => ({ field: attrs.field || "is_waiting" }),
});
