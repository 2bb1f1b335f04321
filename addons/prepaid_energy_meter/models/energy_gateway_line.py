from odoo import _, api, fields, models
from odoo.exceptions import UserError, ValidationError

from ..modbus import addresses
from ..modbus.line import Line
from ..modbus.planning import LONGEST_READ
from .res_config_settings import ALLOWED_ADDRESSES, ALLOWED_DEVICES

NETWORK_KINDS = ("tcp", "rtu_tcp")
#: Milliseconds of silence between frames where nothing but it tells one answer from the next.
RTU_DELAY = 20


class EnergyGateway(models.Model):
    """How a gateway is reached, and how its bus is to be treated."""

    _inherit = "energy.gateway"

    kind = fields.Selection(
        [("tcp", "Modbus TCP"), ("rtu_tcp", "RTU over TCP"), ("serial", "Serial Line")],
        required=True,
        default="tcp",
        tracking=True,
        help="Modbus TCP: the gateway translates. RTU over TCP: it passes the bytes of the bus on, "
        "as serial servers in their transparent mode do. Serial line: the bus hangs on a port of "
        "the computer that the connector runs on.",
    )
    host = fields.Char(string="Address", tracking=True)
    is_not_allowed = fields.Boolean(
        compute="_compute_is_not_allowed",
        help="The address lies in no network that the administrator listed.",
    )
    port = fields.Integer(default=502, required=True, tracking=True)
    timeout = fields.Float(
        string="Time-out (s)",
        digits=(6, 3),
        required=True,
        default=1.0,
        help="Seconds from a request to its whole answer. A dead meter costs the others this much.",
    )
    connect_timeout = fields.Float(
        string="Connection Time-out (s)",
        digits=(6, 3),
        required=True,
        default=3.0,
        help="Seconds to find the name's address and to connect.",
    )
    retries = fields.Integer(
        default=0,
        help="How often a reading is asked for again before it counts as missed. Writing is "
        "never repeated without a look at the meter first.",
    )
    frame_delay = fields.Integer(
        string="Delay between Frames (ms)",
        compute="_compute_frame_delay",
        store=True,
        readonly=False,
        precompute=True,
        help="Silence on the line between an answer and the next request. Without transaction "
        "numbers an answer counts only when nothing has followed it for this long.",
    )
    quiet_time = fields.Float(
        string="Quiet Time (s)",
        digits=(6, 3),
        required=True,
        default=1.0,
        help="Without transaction numbers: after a time-out or a wrong answer nothing is asked "
        "until the line has been silent for so long, so that a late answer is not taken for the "
        "next one. At least as long as the gateway itself waits for a meter.",
    )
    max_block = fields.Integer(
        string="Registers at Once",
        required=True,
        default=LONGEST_READ,
        help="The most registers of one read, 1 to 125. A profile may say less.",
    )
    max_gap = fields.Integer(
        string="Gap Allowed",
        required=True,
        default=LONGEST_READ,
        help="The most registers in a row that may be read without being needed, to save a "
        "request. 0 reads none of them. A profile may say less.",
    )
    echoes_numbers = fields.Boolean(
        string="Repeats Transaction Numbers",
        default=True,
        tracking=True,
        help="A Modbus TCP gateway answers under the number of the request, which tells a late "
        "answer from the one that is waited for. Turn it off only for one that does not: then "
        "answers are told apart as on a serial line, which takes longer after a fault.",
    )
    serial_device = fields.Char(
        string="Device",
        tracking=True,
        help="Path on the connector's computer, for example /dev/ttyUSB0 or better a name below "
        "/dev/serial/by-id. The administrator must have listed it.",
    )
    serial_machine = fields.Char(
        string="Computer",
        help="Name of the computer that has the device; only a connector there uses it. Empty: "
        "whichever connector comes first.",
    )
    baud = fields.Selection(
        [(str(rate), str(rate)) for rate in (1200, 2400, 4800, 9600, 19200, 38400, 57600, 115200)],
        string="Baud Rate",
        default="9600",
    )
    parity = fields.Selection([("N", "None"), ("E", "Even"), ("O", "Odd")], default="N")
    stop_bits = fields.Selection([("1", "1"), ("2", "2")], default="1")

    _endpoint_uniq = models.UniqueIndex(
        "(lower(host), port) WHERE active AND kind <> 'serial'",
        "Another gateway has this address and port.",
    )
    _device_uniq = models.UniqueIndex(
        "(COALESCE(serial_machine, ''), serial_device) WHERE active AND kind = 'serial'",
        "Another gateway has this device.",
    )
    _check_reached = models.Constraint(
        "CHECK (CASE WHEN kind = 'serial' THEN serial_device IS NOT NULL AND baud IS NOT NULL"
        " AND parity IS NOT NULL AND stop_bits IS NOT NULL ELSE host IS NOT NULL END)",
        "A gateway on the network has an address, one on a serial line a device with its baud "
        "rate, parity and stop bits.",
    )
    _check_port = models.Constraint("CHECK (port BETWEEN 1 AND 65535)", "Ports: 1 to 65535.")
    _check_timeout = models.Constraint(
        "CHECK (timeout > 0 AND timeout <= 60 AND connect_timeout > 0 AND connect_timeout <= 60)",
        "Time-outs are above 0 and at most 60 seconds.",
    )
    _check_pace = models.Constraint(
        "CHECK (frame_delay BETWEEN 0 AND 5000 AND quiet_time BETWEEN 0 AND 60"
        " AND retries BETWEEN 0 AND 5)",
        "The delay between frames is 0 to 5000 ms, the quiet time 0 to 60 s, retries are 0 to 5.",
    )
    _check_blocks = models.Constraint(
        f"CHECK (max_block BETWEEN 1 AND {LONGEST_READ} AND max_gap BETWEEN 0 AND {LONGEST_READ})",
        "A read has 1 to 125 registers, a gap 0 to 125.",
    )

    @api.model_create_multi
    def create(self, vals_list):
        return super().create([self._one_spelling(vals) for vals in vals_list])

    def write(self, vals):
        return super().write(self._one_spelling(vals))

    @api.model
    def _one_spelling(self, vals):
        """Return values in which an endpoint is spelled as everywhere: a bus has one master."""
        spelled = {}
        if vals.get("host"):
            spelled["host"] = addresses.normalised(vals["host"])
        for name in ("serial_machine", "serial_device"):
            if vals.get(name):
                spelled[name] = vals[name].strip()
        return {**vals, **spelled}

    @api.depends("kind", "echoes_numbers")
    def _compute_frame_delay(self):
        for gateway in self:
            is_numbered = gateway.kind == "tcp" and gateway.echoes_numbers
            gateway.frame_delay = 0 if is_numbered else RTU_DELAY

    @api.constrains("kind", "quiet_time", "timeout", "echoes_numbers")
    def _check_quiet_time(self):
        for gateway in self:
            is_numbered = gateway.kind == "tcp" and gateway.echoes_numbers
            if not is_numbered and gateway.quiet_time < gateway.timeout:
                raise ValidationError(
                    _(
                        "Gateway %s: without transaction numbers the quiet time is at least the "
                        "time-out, or late answers are taken for the next ones.",
                        gateway.name,
                    )
                )

    @api.constrains("host", "kind")
    def _check_host(self):
        networks = self._allowed().networks
        for gateway in self.filtered(lambda gateway: gateway.kind in NETWORK_KINDS):
            host = gateway.host or ""
            if not host or any(c in host for c in "/@ \t\n"):
                raise ValidationError(
                    _("%s is neither an IP address nor a host name.", gateway.host)
                )
            if addresses.odd_number(host):
                raise ValidationError(
                    _("Write the address %s as four decimal numbers.", gateway.host)
                )
            address = addresses.numbered(host)
            # Names are judged at every connection, by what they resolve to then; with an empty
            # list nothing is connected to.
            code = address and networks and addresses.own_refusal(address, networks)
            if code:
                raise ValidationError(self._refusal(code, gateway.host))

    @api.depends("host", "kind")
    def _compute_is_not_allowed(self):
        try:
            networks = self._allowed().networks
        except UserError:
            # A list that cannot be read allows nothing: the connector says so as well.
            networks = ()
        for gateway in self:
            address = addresses.numbered(gateway.host or "")
            gateway.is_not_allowed = bool(
                gateway.kind in NETWORK_KINDS and address and addresses.refusal(address, networks)
            )

    @api.constrains("serial_device", "kind")
    def _check_device(self):
        devices = self._allowed().devices
        for gateway in self.filtered(lambda gateway: gateway.kind == "serial"):
            if gateway.serial_device not in devices:
                raise ValidationError(
                    _(
                        "The administrator has not listed the serial device %s.",
                        gateway.serial_device,
                    )
                )

    def _line(self):
        """Return how the connector reaches the gateway (:class:`modbus.line.Line`)."""
        self.ensure_one()
        return Line(
            kind=self.kind,
            host=self.host or "",
            port=self.port,
            echoes_numbers=self.echoes_numbers,
            device=self.serial_device or "",
            baud=int(self.baud or 9600),
            parity=self.parity or "N",
            stop_bits=int(self.stop_bits or 1),
            timeout=self.timeout,
            connect_timeout=self.connect_timeout,
            pause=self.frame_delay / 1000,
            quiet=self.quiet_time,
            retries=self.retries,
        )

    @api.model
    def _allowed(self):
        """Return what the administrator lets gateways be reached at; without the settings nothing.

        :return: :class:`modbus.addresses.Allowed`
        :raise UserError: a setting cannot be read
        """
        # sudo: system parameters are the administrator's; everybody's gateways are held to them
        parameters = self.env["ir.config_parameter"].sudo()
        settings = self.env["res.config.settings"]
        return addresses.Allowed(
            settings._read_networks(parameters.get_param(ALLOWED_ADDRESSES) or ""),
            settings._read_devices(parameters.get_param(ALLOWED_DEVICES) or ""),
        )
