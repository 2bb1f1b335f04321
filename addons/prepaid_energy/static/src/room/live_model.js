import { DynamicGroupList } from "@web/model/relational_model/dynamic_group_list";
import { DynamicRecordList } from "@web/model/relational_model/dynamic_record_list";
import { RelationalModel } from "@web/model/relational_model/relational_model";

// A reload keeps the data points of what is shown already and gives them new values. So rows,
// selection, open groups, focus and scroll position stay where they are.

class LiveRecordList extends DynamicRecordList {
    _setData(data) {
        const shown = new Map((this.records || []).map((record) => [record.resId, record]));
        super._setData(data);
        this.records = this.records.map((fresh, index) => {
            const record = shown.get(fresh.resId);
            if (!record || record.isInEdition) {
                return fresh;
            }
            record._setData(data.records[index]);
            record.selected = record.selected || fresh.selected;
            return record;
        });
    }
}

class LiveGroupList extends DynamicGroupList {
    _setData(data) {
        const shown = new Map((this.groups || []).map((group) => [group.value, group]));
        super._setData(data);
        this.groups = this.groups.map((fresh, index) => {
            const group = shown.get(fresh.value);
            if (!group || group.list.isGrouped !== fresh.list.isGrouped) {
                return fresh;
            }
            group._config = fresh.config;
            group.list._config = fresh.list.config;
            group.count = fresh.count;
            group.aggregates = fresh.aggregates;
            group.list._setData(data.groups[index]);
            group._useGroupCountForList();
            return group;
        });
    }
}

export class LiveModel extends RelationalModel {
    static DynamicRecordList = LiveRecordList;
    static DynamicGroupList = LiveGroupList;
    static withCache = false;
}
