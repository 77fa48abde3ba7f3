// Browsers give no worker to a page that is opened as a file. The search of the site needs one, so
// there it runs in a hidden frame, which talks like a worker.
if (location.protocol === "file:") {
  window.Worker = class extends EventTarget {
    constructor(url) {
      super();
      this.frame = document.createElement("iframe");
      this.frame.hidden = true;
      document.body.append(this.frame);
      addEventListener("message", (message) => {
        if (message.source === this.frame.contentWindow) {
          this.dispatchEvent(new MessageEvent("message", { data: message.data }));
        }
      });
      const inside = this.frame.contentWindow.document;
      inside.open();
      inside.write(
        `<script>postMessage = (data) => parent.postMessage(data, "*");</script>
        <script src="${url}"></script>`
      );
      inside.close();
    }

    postMessage(data) {
      this.frame.contentWindow.postMessage(data, "*");
    }
  };
}
