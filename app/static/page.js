// A script of Dossier's own on every page: the server's content security policy allows it by its hash.
// A number in an answer opens its source, as the button below the answer does; a link asks before it
// leaves; a page says where to scroll by an element of class "scroll-to".
if (!window.dossierPage) {
  window.dossierPage = true;
  let shown = null; // the turn whose evidence is in view as the page is drawn, until the reader moves on
  let still = 0;
  const bring = () => {
    const running = document.querySelector('[data-testid="stApp"]')?.dataset.testScriptState === "running";
    const evidence = document.querySelector(`.st-key-evidence-${shown}`);
    if (running || !evidence) return;
    const passage = evidence.querySelector(".passage");
    const mark = evidence.querySelector("mark");
    if (mark) passage.scrollTop = mark.offsetTop - passage.offsetTop - passage.clientHeight / 3;
    evidence.scrollIntoView({ block: "nearest", behavior: "smooth" });
  };
  const settle = () => {
    clearTimeout(still);
    if (shown) still = setTimeout(bring, 100);
  };
  const show = (turn) => {
    shown = turn;
    settle();
  };
  for (const moves of ["pointerdown", "touchmove", "wheel", "keydown"]) {
    document.addEventListener(moves, () => (shown = null), { capture: true, passive: true });
  }
  document.addEventListener("dossier-show", (event) => show(event.detail));
  const leave = (address) => {
    if (!/^https?:\/\//i.test(address ?? "")) return;
    const asked = `This leads out of Dossier. Open it in a new tab?\n\n${address}`;
    if (window.confirm(asked)) window.open(address, "_blank", "noopener,noreferrer");
  };
  document.addEventListener("keydown", (event) => {
    const outside = event.key === "Enter" && event.target.closest?.(".outside");
    if (outside) leave(outside.dataset.address);
  });
  const told = new Set(); // reasons for scrolling that were followed, as long as the page gives any
  let goal = ""; // where to, until it is there
  const scroll = () => {
    const wanted = document.querySelectorAll(".scroll-to");
    if (!wanted.length) told.clear();
    for (const { dataset } of wanted) {
      const { reason, to } = dataset;
      if (!told.has(reason)) goal = to;
      told.add(reason);
    }
    const there = goal && document.querySelector(goal);
    if (!there) return;
    goal = "";
    setTimeout(() => there.scrollIntoView({ block: "start", behavior: "smooth" }), 50);
  };
  const look = () => {
    scroll();
    settle();
  };
  const watched = { childList: true, subtree: true, attributeFilter: ["data-test-script-state"] };
  new MutationObserver(look).observe(document.body, watched);
  scroll();
  // Before the page takes the click: what it draws in return may be without the button pressed.
  const press = (event) => {
    const link = event.target.closest?.("a.cite");
    if (link) {
      event.preventDefault();
      const [, turn, number] = link.hash.match(/^#source-(\d+)-(\d+)$/) ?? [];
      for (const button of document.querySelectorAll(`.st-key-source-${turn} button`)) {
        const chosen = button.dataset.testid?.endsWith("Active");
        if (button.textContent.trim().split(/\s/)[0] === number && !chosen) button.click();
      }
      show(turn);
      return;
    }
    const outside = event.target.closest?.(".outside");
    if (outside) leave(outside.dataset.address);
    const source = event.target.closest?.('[class*="st-key-source-"] button');
    if (source && event.isTrusted) {
      show(source.closest('[class*="st-key-source-"]').className.match(/st-key-source-(\d+)/)[1]);
    }
  };
  document.addEventListener("click", press, true);
}
