import { registry } from "@web/core/registry";
import { FormController } from "@web/views/form/form_controller";
import { formView } from "@web/views/form/form_view";
import { KanbanController } from "@web/views/kanban/kanban_controller";
import { kanbanView } from "@web/views/kanban/kanban_view";
import { ListController } from "@web/views/list/list_controller";
import { listView } from "@web/views/list/list_view";

import { LiveModel } from "./live_model";
import { useLiveRefresh } from "./live_refresh";

class RoomListController extends ListController {
    setup() {
        super.setup();
        useLiveRefresh(this.model);
    }
}

class RoomKanbanController extends KanbanController {
    setup() {
        super.setup();
        useLiveRefresh(this.model);
    }
}

class RoomFormController extends FormController {
    setup() {
        super.setup();
        useLiveRefresh(this.model);
    }
}

const views = registry.category("views");
views.add("energy_room_list", { ...listView, Controller: RoomListController, Model: LiveModel });
views.add("energy_room_kanban", {
    ...kanbanView,
    Controller: RoomKanbanController,
    Model: LiveModel,
});
views.add("energy_room_form", { ...formView, Controller: RoomFormController });
