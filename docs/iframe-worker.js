// Browsers start no worker for a page that was opened from disk. There the worker of the search runs
// in a hidden frame instead, with the same messages.
if (location.protocol === "file:") {
  window.Worker = class extends EventTarget {
    constructor(url) {
      super();
      this.waiting = [];
      this.frame = document.createElement("iframe");
      this.frame.hidden = true;
      const source = new URL(url, document.baseURI).href;
      this.frame.srcdoc =
        "<script>" +
        "const page = window.parent;" +
        "window.postMessage = (data) => page.postMessage({ fromWorker: data }, '*');" +
        "</script>" +
        `<script src="${source}"></script>`;
      this.frame.onload = () => {
        for (const data of this.waiting.splice(0)) this.send(data);
        this.waiting = null;
      };
      addEventListener("message", (event) => {
        if (event.source === this.frame.contentWindow && event.data && "fromWorker" in event.data) {
          this.dispatchEvent(new MessageEvent("message", { data: event.data.fromWorker }));
        }
      });
      document.documentElement.append(this.frame);
    }

    // Text given to postMessage before the frame is there waits for it.
    postMessage(data) {
      if (this.waiting) this.waiting.push(data);
      else this.send(data);
    }

    send(data) {
      const frame = this.frame.contentWindow;
      frame.dispatchEvent(new frame.MessageEvent("message", { data }));
    }

    terminate() {
      this.frame.remove();
    }
  };
}
