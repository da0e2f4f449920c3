// A number in an answer opens its source, as the button below the answer does.
if (!window.dossierCitations) {
  window.dossierCitations = true;
  const show = (turn) =>
    setTimeout(() => {
      const evidence = document.querySelector(`.st-key-evidence-${turn}`);
      if (!evidence) return;
      const passage = evidence.querySelector(".passage");
      const mark = evidence.querySelector("mark");
      if (mark) passage.scrollTop = mark.offsetTop - passage.offsetTop - passage.clientHeight / 3;
      evidence.scrollIntoView({ block: "nearest", behavior: "smooth" });
    }, 500);
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
    const source = event.target.closest?.('[class*="st-key-source-"] button');
    if (source && event.isTrusted) {
      show(source.closest('[class*="st-key-source-"]').className.match(/st-key-source-(\d+)/)[1]);
    }
  });
}
