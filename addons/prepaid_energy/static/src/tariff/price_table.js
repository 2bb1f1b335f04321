import { _t } from "@web/core/l10n/translation";
import { localization } from "@web/core/l10n/localization";
import { registry } from "@web/core/registry";
import { useBus, useService } from "@web/core/utils/hooks";
import { parseFloat } from "@web/views/fields/parsers";
import { standardFieldProps } from "@web/views/fields/standard_field_props";
import { Component, useEffect, useRef } from "@odoo/owl";

const DECIMALS = 6;

/** At least two, at most six decimals, in the user's way to write numbers. */
function format(value) {
    const [whole, decimals] = value.toFixed(DECIMALS).split(".");
    const kept = decimals.replace(/0+$/, "").padEnd(2, "0");
    return `${whole}${localization.decimalPoint}${kept}`;
}

/** The input of one price. What is being typed stays while earlier prices are worked out. */
export class PriceInput extends Component {
    static template = "prepaid_energy.PriceInput";
    static props = {
        record: Object,
        label: String,
        row: Number,
        column: Number,
        move: Function,
    };

    setup() {
        this.notification = useService("notification");
        this.input = useRef("input");
        this.isTyping = false;
        useEffect(
            (text) => {
                if (!this.isTyping) {
                    this.input.el.value = text;
                }
            },
            () => [this.text]
        );
        // A save by keyboard takes what is typed with it.
        useBus(this.props.record.model.bus, "NEED_LOCAL_CHANGES", (event) =>
            event.detail.proms.push(this.commit())
        );
    }

    get text() {
        const { is_priced, price } = this.props.record.data;
        return is_priced ? format(price) : "";
    }

    onInput() {
        this.isTyping = true;
        this.props.record.model.bus.trigger("FIELD_IS_DIRTY", true);
    }

    async commit() {
        if (!this.isTyping) {
            return;
        }
        this.isTyping = false;
        const text = this.input.el.value.trim();
        let price = 0;
        if (text) {
            try {
                price = parseFloat(text);
            } catch {
                price = -1;
            }
        }
        if (!(price >= 0)) {
            this.notification.add(_t("“%s” is no price.", text), { type: "danger" });
            this.input.el.value = this.text;
            return;
        }
        await this.props.record.update({ price, is_priced: Boolean(text) });
        this.props.record.model.bus.trigger("FIELD_IS_DIRTY", false);
    }

    onKeydown(event) {
        const step = { Enter: 1, ArrowDown: 1, ArrowUp: -1 }[event.key];
        if (step) {
            event.preventDefault();
            event.stopPropagation();
            this.commit();
            this.props.move(this.props.row + step, this.props.column);
        }
    }
}

/** The prices of a tariff version as a table: a row a rate period, a column a tier. */
export class PriceTable extends Component {
    static template = "prepaid_energy.PriceTable";
    static components = { PriceInput };
    static props = { ...standardFieldProps };

    setup() {
        this.root = useRef("root");
        this.format = format;
        this.move = this.move.bind(this);
    }

    get table() {
        return this.props.record.data.price_columns || { columns: [], bands: [] };
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
            cells: columns.map((column) => {
                const [gross, fees, tax] = band.gross[column.tier] || [];
                return {
                    column,
                    key: `${index}/${column.tier}`,
                    isFree: column.tier === 0,
                    record: band.id && cells[`${band.id}/${column.tier}`],
                    gross: gross === undefined ? "" : format(gross),
                    parts: this.parts(fees, tax),
                };
            }),
        }));
    }

    /** New rate periods and tiers get their cells when the version is saved. */
    get isIncomplete() {
        return this.rows.some((row) => row.cells.some((cell) => !cell.isFree && !cell.record));
    }

    /** What the gross price is made of, where it is not the typed price alone. */
    parts(fees, tax) {
        const parts = [];
        if (fees) {
            parts.push(_t("fees %s", format(fees)));
        }
        if (tax) {
            parts.push(_t("tax %s", format(tax)));
        }
        return parts.join(", ");
    }

    /** Enter and the arrows go through a column, as in a sheet. */
    move(row, column) {
        const next = this.root.el.querySelector(
            `input[data-row="${row}"][data-column="${column}"]`
        );
        next?.focus();
        next?.select();
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
