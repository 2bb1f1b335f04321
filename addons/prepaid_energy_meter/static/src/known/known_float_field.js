import { registry } from "@web/core/registry";
import { FloatField, floatField } from "@web/views/fields/float/float_field";

/** A number of which 0 means that nobody knows it: it shows nothing. */
export class KnownFloatField extends FloatField {
    parse(value) {
        return value ? super.parse(value) : 0;
    }

    get formattedValue() {
        return this.value ? super.formattedValue : "";
    }
}

registry.category("fields").add("energy_known_float", {
    ...floatField,
    component: KnownFloatField,
    isEmpty: (record, name) => !record.data[name],
});
