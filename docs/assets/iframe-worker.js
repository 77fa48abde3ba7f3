// Browsers give no worker to a page that is opened as a file. The search of the site needs one, so
// there it runs in a hidden frame, which talks like a worker.
if (location.protocol === "file:") {
  window.Worker = class extends EventTarget {
    constructor(url) {
      super();
      const frame = document.createElement("iframe");
      frame.hidden = true;
      document.body.append(frame);
      this.inside = new Promise((ready) => {
        frame.addEventListener("ready", () => ready(frame.contentWindow));
      });
      addEventListener("message", (message) => {
        if (message.source === frame.contentWindow) {
          this.dispatchEvent(new MessageEvent("message", { data: message.data }));
        }
      });
      frame.contentDocument.open();
      frame.contentDocument.write(
        `<script>postMessage = (data) => parent.postMessage(data, "*");</script>
        <script src="${url}"></script>
        <script>frameElement.dispatchEvent(new Event("ready"));</script>`
      );
      frame.contentDocument.close();
    }

    async postMessage(data) {
      (await this.inside).dispatchEvent(new MessageEvent("message", { data }));
    }
  };
}
