from odoo import _, api, models
from odoo.exceptions import AccessError
from odoo.tools import ormcache


class EnergyGuarded(models.AbstractModel):
    """A record of which a user types some values only, whatever way a request takes.

    What is computed and stored follows from other values, and `_flow_fields` are written by the
    flow. A form does not let them be typed; a call over RPC, an import and a default of the
    context do not set them either. The flow writes them as the superuser.
    """

    _name = "energy.guarded"
    _description = "Record that the flow writes as well"

    #: Written by the flow only, never by a user.
    _flow_fields = frozenset()
    #: Those of them that the model's own `create` gives a new record, over whatever is typed.
    _given_fields = frozenset()

    @api.model
    @ormcache()
    def _guarded_fields(self):
        """Return the names of all fields that no user sets."""
        computed = {
            name
            for name, field in self._fields.items()
            if field.store and field.compute and field.readonly
        }
        return self._flow_fields | computed

    @api.model
    def _refuse_guarded(self, names):
        """:raise AccessError: a user may not set one of these fields"""
        guarded = self._guarded_fields().intersection(names)
        if guarded and not self.env.su:
            raise AccessError(self._guarded_refusal(sorted(guarded)))

    @api.model
    def _guarded_refusal(self, names):
        """Return what is said to who tries to set these fields."""
        labels = self.fields_get(names, ["string"])
        return _(
            "%(fields)s: this is not typed, it follows from other values.",
            fields=", ".join(labels[name]["string"] for name in names if name in labels)
            or self._description,
        )

    @api.model_create_multi
    def create(self, vals_list):
        if self.env.su:
            return super().create(vals_list)
        for vals in vals_list:
            self._refuse_guarded(vals.keys() - self._given_fields)
        # Forms hand defaults on to the records that are made with theirs: they are dropped.
        defaults = {f"default_{name}" for name in self._guarded_fields()}
        if not defaults & self.env.context.keys():
            return super().create(vals_list)
        context = {key: value for key, value in self.env.context.items() if key not in defaults}
        cleaned = self.with_env(self.env(context=context))
        return super(EnergyGuarded, cleaned).create(vals_list).with_env(self.env)

    def write(self, vals):
        self._refuse_guarded(vals)
        return super().write(vals)
