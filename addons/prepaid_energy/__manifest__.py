{
    "name": "Prepaid Energy",
    "version": "19.0.1.0.0",
    "category": "Services/Utilities",
    "summary": "Sell electricity and water to tenants: meters, tariffs, prepaid balances, supply",
    "author": "Prepaid Energy",
    "website": "https://github.com/prepaid-energy/prepaid-energy",
    "license": "LGPL-3",
    "depends": ["account_payment", "analytic", "bus", "mail", "portal", "resource", "uom"],
    "data": [
        "security/energy_groups.xml",
        "security/ir.model.access.csv",
        "security/energy_rules.xml",
        "data/ir_sequence_data.xml",
        "data/ir_cron_data.xml",
    ],
    "demo": [
        "demo/energy_company_demo.xml",
        "demo/energy_user_demo.xml",
        "demo/energy_tariff_demo.xml",
        "demo/energy_property_demo.xml",
    ],
    "assets": {
        "web.assets_backend": ["prepaid_energy/static/src/**/*"],
    },
    "application": True,
    "post_init_hook": "post_init_hook",
    "uninstall_hook": "uninstall_hook",
}
