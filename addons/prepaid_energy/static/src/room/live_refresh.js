import { browser } from "@web/core/browser/browser";
import { useService } from "@web/core/utils/hooks";
import { onMounted, onWillUnmount } from "@odoo/owl";

// Sent by `energy.room._tell`.
const CHANGED = "prepaid_energy/rooms";
const SHORTEST_PAUSE = 2_000;
const LONGEST_PAUSE = 30_000;

/**
 * Read a model again when rooms have changed, at most every two seconds, and every half minute
 * where nothing was heard. A hidden page waits until it is seen.
 *
 * @param {import("@web/model/relational_model/relational_model").RelationalModel} model
 */
export function useLiveRefresh(model) {
    const bus = useService("bus_service");
    let last = browser.performance.now();
    let timer = null;
    let fallback = null;
    let isMissed = false;

    async function refresh() {
        timer = null;
        if (document.hidden) {
            isMissed = true;
            return;
        }
        last = browser.performance.now();
        if (model.isReady && !model.useSampleModel && model.root) {
            await model.root.load();
        }
    }
    function request() {
        if (timer === null) {
            const pause = Math.max(0, last + SHORTEST_PAUSE - browser.performance.now());
            timer = browser.setTimeout(refresh, pause);
        }
    }
    function onVisible() {
        if (!document.hidden && isMissed) {
            isMissed = false;
            request();
        }
    }

    onMounted(() => {
        bus.subscribe(CHANGED, request);
        bus.start();
        fallback = browser.setInterval(request, LONGEST_PAUSE);
        document.addEventListener("visibilitychange", onVisible);
    });
    onWillUnmount(() => {
        bus.unsubscribe(CHANGED, request);
        browser.clearTimeout(timer);
        browser.clearInterval(fallback);
        document.removeEventListener("visibilitychange", onVisible);
    });
}
