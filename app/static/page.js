// The only script of Dossier's own: the server's content security policy allows it by its hash.
// A number in an answer opens its source, as the button below the answer does; a link asks before it
// leaves; a page says where to scroll by an element of class "scroll-to".
if (!window.dossierPage) {
  window.dossierPage = true;
  const show = (turn) =>
    setTimeout(() => {
      const evidence = document.querySelector(`.st-key-evidence-${turn}`);
      if (!evidence) return;
      const passage = evidence.querySelector(".passage");
      const mark = evidence.querySelector("mark");
      if (mark) passage.scrollTop = mark.offsetTop - passage.offsetTop - passage.clientHeight / 3;
      evidence.scrollIntoView({ block: "nearest", behavior: "smooth" });
    }, 500);
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
  let scrolled = "";
  const scroll = () => {
    for (const wanted of document.querySelectorAll(".scroll-to")) {
      const { reason, to } = wanted.dataset;
      if (reason === scrolled) continue;
      scrolled = reason;
      setTimeout(() => document.querySelector(to)?.scrollIntoView({ block: "start", behavior: "smooth" }), 50);
    }
  };
  new MutationObserver(scroll).observe(document.body, { childList: true, subtree: true });
  scroll();
  document.addEventListener("click", (event) => {
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
  });
}
