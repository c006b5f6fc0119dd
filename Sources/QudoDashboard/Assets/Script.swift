#if Dashboard
extension Assets {
  /// The script of the pages: live updates, and keys. It contains nothing of the queue.
  static let script: String = """
    "use strict";
    (() => {
      const live = document.getElementById("live-state");
      const source = document.querySelector("[data-live]");
      const announcer = document.getElementById("announcer");
      let stream = null, lastSaid = 0, said = "";

      // On a phone the navigation scrolls: the current page must be visible.
      const nav = document.querySelector(".bar nav");
      const here = nav && nav.querySelector("[aria-current]");
      if (here) {
        const [whole, part] = [nav.getBoundingClientRect(), here.getBoundingClientRect()];
        nav.scrollLeft += part.left - whole.left - (whole.width - part.width) / 2;
      }

      const show = (state, text) => {
        if (!live) return;
        live.dataset.state = state;
        live.querySelector("span:last-child").textContent = text;
      };
      const announce = (text, isUrgent) => {
        const now = Date.now();
        if (!announcer || text === said || (!isUrgent && now - lastSaid < 30000)) return;
        lastSaid = now; said = text; announcer.textContent = text;
      };

      // The server sends parts of this page, each with the id of the one that it replaces.
      const replace = (html) => {
        const parts = new DOMParser().parseFromString(html, "text/html").body.children;
        for (const part of Array.from(parts)) {
          const old = document.getElementById(part.id);
          if (!old || old.innerHTML === part.innerHTML) continue;
          const focus = document.activeElement;
          const key = focus && old.contains(focus) ? focus.id || focus.getAttribute("href") : null;
          // A selection in it would be lost.
          const selection = document.getSelection();
          if (selection && !selection.isCollapsed && old.contains(selection.anchorNode)) continue;
          const scrolled = Array.from(old.querySelectorAll(".scroll"), (e) => e.scrollLeft);
          const opened = Array.from(old.querySelectorAll("details"), (e) => e.open);
          old.replaceChildren(...document.adoptNode(part).childNodes);
          old.querySelectorAll(".scroll").forEach((e, i) => { e.scrollLeft = scrolled[i] || 0; });
          old.querySelectorAll("details").forEach((e, i) => { e.open = opened[i] || false; });
          if (key) {
            const again = document.getElementById(key) || old.querySelector(`[href="${CSS.escape(key)}"]`);
            if (again) again.focus({ preventScroll: true });
          }
        }
      };

      const start = () => {
        if (!source || stream || document.hidden || !window.EventSource) return;
        stream = new EventSource(source.dataset.live);
        stream.addEventListener("update", (event) => {
          replace(event.data);
          show("on", "Live");
          const summary = document.getElementById("summary");
          if (summary) announce(summary.textContent.trim(), false);
        });
        stream.addEventListener("end", () => { stop(); show("off", "The dashboard has ended"); announce("The dashboard has ended.", true); });
        stream.onerror = () => {
          if (!stream) return;
          show("off", stream.readyState === EventSource.CLOSED ? "No live updates: reload to see new figures" : "Connection lost, retrying");
          announce("Live updates stopped.", true);
        };
      };
      const stop = () => { if (stream) { stream.close(); stream = null; } };
      // A page that nobody sees costs the queue nothing.
      document.addEventListener("visibilitychange", () => { if (document.hidden) { stop(); show("off", "Paused while hidden"); } else start(); });
      window.addEventListener("pagehide", stop);
      window.addEventListener("pageshow", start);
      start();

      const help = document.getElementById("help");
      const openHelp = () => { if (help && help.showModal && !help.open) help.showModal(); };
      document.querySelectorAll("[data-help]").forEach((e) => {
        e.hidden = false;
        e.addEventListener("click", openHelp);
      });
      document.addEventListener("keydown", (event) => {
        if (event.ctrlKey || event.metaKey || event.altKey) return;
        const target = event.target;
        if (target instanceof HTMLElement && (target.isContentEditable || /^(input|select|textarea)$/i.test(target.tagName))) return;
        if (event.key === "/") {
          const search = document.getElementById("search");
          if (search) { event.preventDefault(); search.focus(); search.select(); }
        } else if (event.key === "?") {
          event.preventDefault(); openHelp();
        }
      });
    })();
    """
}
#endif
