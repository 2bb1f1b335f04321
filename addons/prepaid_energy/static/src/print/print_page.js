import { registry } from "@web/core/registry";

const FRAME = "o_energy_print_frame";

/**
 * Print a page of this server without showing it: in a frame that is out of sight.
 *
 * @param {string} url
 * @returns {Promise<void>} when it has been handed to the printer or its dialog was closed
 */
function printPage(url) {
    return new Promise((resolve, reject) => {
        const frame = document.createElement("iframe");
        frame.className = FRAME;
        // A frame that is not displayed does not print.
        frame.style.cssText = "position:fixed;right:100%;width:800px;height:600px;border:0";
        frame.addEventListener("load", async () => {
            try {
                if (!frame.contentDocument.querySelector(".o_energy_receipt")) {
                    throw new Error(`${url} is no receipt.`);
                }
                await frame.contentDocument.fonts.ready;
                frame.contentWindow.print();
                resolve();
            } catch (error) {
                reject(error);
            }
        });
        frame.src = url;
        document.body.append(frame);
    });
}

/**
 * Print pages one after the other.
 *
 * @param {string[]} urls
 */
export async function printPages(urls) {
    document.querySelectorAll(`.${FRAME}`).forEach((frame) => frame.remove());
    for (const url of urls) {
        await printPage(url);
    }
}

registry
    .category("actions")
    .add("energy_print", (env, action) => printPages(action.params.urls));
