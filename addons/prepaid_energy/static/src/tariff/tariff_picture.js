import { _t } from "@web/core/l10n/translation";
import { registry } from "@web/core/registry";
import { standardFieldProps } from "@web/views/fields/standard_field_props";
import { Component, useState } from "@odoo/owl";

const MINUTES_A_DAY = 1440;
const HOURS = [0, 3, 6, 9, 12, 15, 18, 21, 24];

function clock(minute) {
    const hour = Math.floor(minute / 60);
    return `${String(hour).padStart(2, "0")}:${String(minute % 60).padStart(2, "0")}`;
}

/** The year of a tariff: a bar of 24 hours for each season and kind of day. */
export class TariffPicture extends Component {
    static template = "prepaid_energy.TariffPicture";
    static props = { ...standardFieldProps };

    setup() {
        this.state = useState({ told: null });
        this.hours = HOURS;
    }

    get picture() {
        return this.props.record.data[this.props.name] || { bands: [], rows: [] };
    }

    get rows() {
        const bands = Object.fromEntries(this.picture.bands.map((band) => [band.key, band]));
        return this.picture.rows.map((row, index) => ({
            ...row,
            index,
            parts: row.parts.map(([start, end, key], position) => ({
                key: key || "none",
                style: `left: ${(100 * start) / MINUTES_A_DAY}%; width: ${
                    (100 * (end - start)) / MINUTES_A_DAY
                }%;`,
                name: end - start >= 150 && bands[key] ? bands[key].name : "",
                text: this.describe(row, start, end, bands[key]),
                id: `${index}-${position}`,
            })),
        }));
    }

    describe(row, start, end, band) {
        const what = band
            ? [band.name, band.price].filter(Boolean).join(" · ")
            : _t("No rate period");
        return `${clock(start)}–${clock(end)} ${what} (${row.season}, ${row.day})`;
    }

    hourStyle(hour) {
        return `left: ${(100 * hour) / 24}%;`;
    }

    tell(part) {
        this.state.told = this.state.told === part.id ? null : part.id;
    }

    get telling() {
        const parts = this.rows.flatMap((row) => row.parts);
        return parts.find((part) => part.id === this.state.told)?.text || "";
    }
}

export const tariffPicture = {
    component: TariffPicture,
    supportedTypes: ["json"],
};

registry.category("fields").add("energy_tariff_picture", tariffPicture);
