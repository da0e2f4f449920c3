// Asks what is written in the chat box without a run of the page, and shows the answer as it comes
// (app/chat/live.py). Without this script, or while the page runs, Streamlit asks as ever.
if (!window.dossierChat) {
  window.dossierChat = true;
  const BOX = '[data-testid="stChatInputTextArea"]';
  const find = (selector) => document.querySelector(selector);
  const running = () => find('[data-testid="stApp"]')?.dataset.testScriptState === "running";
  const waits = []; // for something to be there: [whether it is, what then, until when]

  let place = null; // where the page wants fresh turns; another element after each run of it
  let session = "";
  let title = ""; // of a session that began here
  let turns = []; // those that the page has not drawn yet: { node, id, open }, the id once it is answered
  let asking = null; // AbortController of the answer under way

  const make = (className, text = "", tag = "div") => {
    const made = document.createElement(tag);
    made.className = className;
    made.textContent = text;
    return made;
  };
  const button = (text, press) => {
    const made = make("use", text, "button");
    made.type = "button";
    made.addEventListener("click", press);
    return made;
  };

  const settle = () => find(".st-key-settle button")?.click();

  // The page is drawn anew: what it has drawn itself by now goes, what it cannot know of yet stays.
  const move = () => {
    const now = find(".live");
    if (now === place) return;
    place = now;
    if (!now) return; // while the page is being drawn, or on another page: what is asked goes on
    if (now.dataset.session !== session) {
      asking?.abort();
      turns = [];
      // Of a session that began here Streamlit does not know that it is in the address.
      if (!now.dataset.session && session) history.replaceState({}, "", location.pathname);
      session = now.dataset.session;
      title = "";
    }
    turns = turns.filter((turn) => turn.open || turn.id > Number(now.dataset.after));
    now.replaceChildren(...turns.map((turn) => turn.node));
    document.body.classList.toggle("chatting", turns.length > 0);
  };
  const look = () => {
    move();
    list();
    for (const wait of [...waits]) {
      const [ready, then, until] = wait;
      const is = ready();
      if (!is && performance.now() < until) continue;
      waits.splice(waits.indexOf(wait), 1);
      if (is) then(is);
    }
  };

  // A button of a fresh turn: the page is run, and its own button pressed in its stead.
  const use = (key, within, nth) => {
    settle();
    const there = () => !running() && document.querySelectorAll(`.st-key-${key} ${within}`)[nth];
    const press = (button) => {
      button.click();
      const [, turn] = key.match(/^source-(\d+)$/) ?? [];
      if (turn) document.dispatchEvent(new CustomEvent("dossier-show", { detail: turn }));
    };
    waits.push([there, press, performance.now() + 20000]);
  };

  // A chat that began here is in the list, and has its options, though the page has not run since.
  const list = () => {
    const [link, menu] = [find(".begun"), find(".begun-menu")];
    if (!session || !title || !link || link.firstChild) return;
    link.append(button(title, settle));
    menu?.append(button("Options", () => use("session-menu", "button", 0)));
  };

  async function* events(answer) {
    const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
    let rest = "";
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return;
      const parts = (rest + value).split("\n\n");
      rest = parts.pop();
      for (const part of parts) {
        const [, name, told] = part.match(/^event: (\w+)\ndata: (.*)$/s) ?? [];
        if (name) yield [name, JSON.parse(told)];
      }
    }
  }

  async function follow(answer, turn, tell) {
    for await (const [name, told] of events(answer)) {
      if (name === "session") {
        session = told.id;
        history.pushState({}, "", `${location.pathname}?session=${told.id}`);
        list();
      } else if (name === "written") tell(told);
      else if (name === "turn") {
        turn.id = told.id;
        turn.node.innerHTML = told.html;
        return;
      } else if (name === "error") throw told;
    }
    throw { detail: "The answer broke off.", hint: "Try again." };
  }

  async function ask(question) {
    const began = performance.now();
    title ||= question;
    const turn = { node: make("fresh"), id: 0, open: true };
    const talk = make("talk");
    const heading = make("question", question);
    heading.role = "heading";
    heading.ariaLevel = "2";
    const stage = make("stage");
    stage.role = "status";
    const working = make("working");
    const written = make("written");
    let [doing, shown] = ["Asking", ""];
    const tick = () => {
      const seconds = Math.floor((performance.now() - began) / 1000);
      const told = `${doing}…${seconds ? ` ${seconds} s` : ""}`;
      if (stage.textContent !== told) stage.textContent = told;
    };
    const tell = (told) => {
      doing = told.doing;
      if (told.html !== shown) written.innerHTML = shown = told.html;
      tick();
    };
    const mine = (asking = new AbortController());
    working.append(stage, button("Stop", () => mine.abort()));
    talk.append(heading, working, written);
    turn.node.append(talk, make("beside"));
    turns.push(turn);
    place.append(turn.node);
    document.body.classList.add("chatting");
    tick();
    const ticking = setInterval(tick, 250);
    setTimeout(() => turn.node.scrollIntoView({ block: "start", behavior: "smooth" }), 50);
    const drop = () => {
      turns = turns.filter((one) => one !== turn);
      turn.node.remove();
    };
    const retry = (label) => button(label, () => (drop(), ask(question)));
    try {
      const scope = find(".choices")?.dataset ?? {};
      const body = { question, filter: JSON.parse(scope.filter ?? "{}"), mode: scope.mode ?? "fast" };
      const answer = await fetch("/chat/ask", {
        method: "POST",
        headers: { "Content-Type": "application/json" },
        body: JSON.stringify({ ...body, session_id: session || null }),
        signal: mine.signal,
      });
      if (!answer.ok) throw await answer.json();
      await follow(answer, turn, tell);
    } catch (problem) {
      const controls = make("working");
      if (mine.signal.aborted) {
        const told = make("place", "Stopped. What was written is kept.");
        controls.append(told, retry("Ask again"), button("Go on", settle));
      } else {
        const fault = make("fault", problem.detail ?? problem.title ?? "The server does not answer.");
        fault.role = "alert";
        fault.append(make("", problem.hint ?? "Try again in a moment."));
        controls.append(fault, retry("Try again"));
      }
      working.replaceWith(controls);
    } finally {
      clearInterval(ticking);
      turn.open = false;
      if (asking === mine) asking = null;
    }
  }

  // Whether the question in the box is ours to ask; if so it is asked.
  const take = (box) => {
    if (asking) return true; // one after the other; what is written stays in the box
    const question = box.value.trim();
    if (!question || !place?.isConnected || running()) return false;
    // React knows of a change only through the element's own setter and an event.
    Object.getOwnPropertyDescriptor(HTMLTextAreaElement.prototype, "value").set.call(box, "");
    box.dispatchEvent(new Event("input", { bubbles: true }));
    ask(question);
    return true;
  };
  const keep = (event) => {
    event.preventDefault();
    event.stopImmediatePropagation();
  };
  document.addEventListener(
    "keydown",
    (event) => {
      if (event.key === "Escape") asking?.abort();
      const plain = event.key === "Enter" && !event.shiftKey && !event.isComposing && event.keyCode !== 229;
      const box = plain && event.target.closest?.(BOX);
      if (box && take(box)) keep(event);
    },
    true,
  );
  document.addEventListener(
    "click",
    (event) => {
      const wanted = '[data-testid="stChatInputSubmitButton"], .fresh .use[data-key], .fresh a.cite';
      const target = event.target.closest?.(wanted);
      if (!target) return;
      if (target.matches(".use")) {
        target.classList.add("pressed");
        use(target.dataset.key, target.dataset.within, Number(target.dataset.nth));
      } else if (target.matches("a.cite")) {
        keep(event);
        const [, turn, number] = target.hash.match(/^#source-(\d+)-(\d+)$/) ?? [];
        const pills = [...target.closest(".fresh").querySelectorAll(".pill")];
        const nth = pills.findIndex((pill) => pill.querySelector("b").textContent === number);
        if (nth >= 0) use(`source-${turn}`, "button", nth);
      } else if (take(find(BOX))) keep(event);
    },
    true,
  );
  const watched = { childList: true, subtree: true, attributeFilter: ["data-test-script-state"] };
  new MutationObserver(look).observe(document.body, watched);
  move();
}
