import { parseFloat } from "@web/views/fields/parsers";
import { registry } from "@web/core/registry";
import { useService } from "@web/core/utils/hooks";
import { _t } from "@web/core/l10n/translation";
import { localization } from "@web/core/l10n/localization";
import { standardFieldProps } from "@web/views/fields/standard_field_props";
import { Component } from "@odoo/owl";

const DECIMALS = 6;

/** At least two, at most six decimals, in the user's way to write numbers. */
function format(value) {
    const [whole, decimals] = value.toFixed(DECIMALS).split(".");
    const kept = decimals.replace(/0+$/, "").padEnd(2, "0");
    return `${whole}${localization.decimalPoint}${kept}`;
}

/** The prices of a tariff version as a table: a row a rate period, a column a tier. */
export class PriceTable extends Component {
    static template = "prepaid_energy.PriceTable";
    static props = { ...standardFieldProps };

    setup() {
        this.notification = useService("notification");
    }

    get table() {
        return this.props.record.data.price_columns || { columns: [], bands: [], unit: "" };
    }

    get cells() {
        const cells = {};
        for (const record of this.props.record.data[this.props.name].records) {
            const band = record.data.band_id;
            if (band) {
                cells[`${band.id}/${record.data.tier}`] = record;
            }
        }
        return cells;
    }

    get rows() {
        const cells = this.cells;
        const { bands, columns } = this.table;
        return bands.map((band, index) => ({
            ...band,
            index,
            cells: columns.map((column) => ({
                column,
                key: `${index}/${column.tier}`,
                isFree: column.tier === 0,
                record: band.id && cells[`${band.id}/${column.tier}`],
                // A tier that is an adder to the first one costs something once that does.
                isPriced: (column.derived
                    ? cells[`${band.id}/1`]
                    : cells[`${band.id}/${column.tier}`]
                )?.data.is_priced,
            })),
        }));
    }

    /** New rate periods and tiers get their cells when the version is saved. */
    get isIncomplete() {
        return this.rows.some((row) => row.cells.some((cell) => !cell.isFree && !cell.record));
    }

    value(record) {
        return record.data.is_priced ? format(record.data.price) : "";
    }

    gross(record) {
        return format(record.data.gross);
    }

    /** What the gross price is made of, where it is not the typed price alone. */
    parts(record) {
        const { fees, tax } = record.data;
        const parts = [];
        if (fees) {
            parts.push(_t("fees %s", format(fees)));
        }
        if (tax) {
            parts.push(_t("tax %s", format(tax)));
        }
        return parts.join(", ");
    }

    async change(record, event) {
        const text = event.target.value.trim();
        if (!text) {
            await record.update({ price: 0, is_priced: false });
            return;
        }
        let price;
        try {
            price = parseFloat(text);
        } catch {
            price = -1;
        }
        if (!(price >= 0)) {
            this.notification.add(_t("“%s” is no price.", text), { type: "danger" });
            event.target.value = this.value(record);
            return;
        }
        await record.update({ price, is_priced: true });
    }

    /** Enter and the arrows go through a column, as in a sheet. */
    move(event) {
        const step = { Enter: 1, ArrowDown: 1, ArrowUp: -1 }[event.key];
        if (!step) {
            return;
        }
        event.preventDefault();
        event.stopPropagation();
        const { row, column } = event.target.dataset;
        const table = event.target.closest("table");
        const next = table.querySelector(
            `input[data-row="${Number(row) + step}"][data-column="${column}"]`
        );
        if (next) {
            next.focus();
            next.select();
        } else {
            event.target.dispatchEvent(new Event("change"));
        }
    }

    async save() {
        await this.props.record.save();
    }
}

export const priceTable = {
    component: PriceTable,
    supportedTypes: ["one2many"],
    useSubView: true,
};

registry.category("fields").add("energy_price_table", priceTable);
