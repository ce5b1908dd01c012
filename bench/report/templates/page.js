"use strict";
(() => {
  const read = (id) => JSON.parse(document.getElementById(id).textContent);
  const charts = read("charts");
  const themes = read("themes");
  const sheets = read("sheets");
  const dark = matchMedia("(prefers-color-scheme: dark)");
  const MOST_CHARTS = 9; // that a phone shows of sections at once
  const narrow = matchMedia("(max-width: 40rem)");
  const TALL = 260; // up to this height a chart is lower on a phone; taller ones have a line for each mark
  const LOW = 200;
  const coarse = matchMedia("(pointer: coarse)");
  const PRINT_WIDTH = 690; // of the text on A4, shared by the charts of a figure
  const PRINT_GAP = 12;
  const plots = [...document.querySelectorAll(".plot")];
  let printing = false;

  const config = {
    responsive: true,
    displaylogo: false,
    displayModeBar: coarse.matches ? false : "hover",
    modeBarButtons: [["toImage", "zoom2d", "pan2d", "resetScale2d"]],
  };

  const colours = () => {
    const theme = dark.matches && !printing ? themes.dark : themes.light;
    const axis = (name) => ({
      [`${name}.gridcolor`]: theme.grid,
      [`${name}.linecolor`]: theme.line,
      [`${name}.tickcolor`]: theme.line,
    });
    return {
      "font.color": theme.ink,
      "modebar.bgcolor": "rgba(0,0,0,0)",
      "modebar.color": theme.line,
      "modebar.activecolor": theme.ink,
      "hoverlabel.bgcolor": theme.card,
      "hoverlabel.bordercolor": theme.line,
      "hoverlabel.font.color": theme.ink,
      ...axis("xaxis"),
      ...axis("yaxis"),
    };
  };

  const draw = (plot) => {
    if (plot.dataset.drawn) return;
    plot.dataset.drawn = "yes";
    const chart = charts[plot.id];
    const layout = { ...chart.layout, dragmode: coarse.matches ? false : "zoom" };
    if (narrow.matches && layout.height <= TALL) {
      layout.height = LOW;
      plot.style.height = `${LOW}px`;
    }
    for (const [path, value] of Object.entries(colours())) {
      const names = path.split(".");
      const last = names.pop();
      names.reduce((part, name) => (part[name] ??= {}), layout)[last] = value;
    }
    Plotly.newPlot(plot, chart.data, layout, config);
  };

  // Long tables are kept column by column, each distinct text once, and made when they are first opened.
  const fill = (table) => {
    if (table.dataset.filled) return;
    table.dataset.filled = "yes";
    const { columns, figures, words, codes, marked } = sheets[table.id];
    const wrong = new Set(marked);
    const cell = (row, name, text, place) => {
      const made = row.appendChild(document.createElement(name));
      made.textContent = text;
      if (figures[place]) made.className = "figure";
    };
    const head = table.createTHead().insertRow();
    columns.forEach((text, place) => cell(head, "th", text, place));
    const body = table.createTBody();
    for (let at = 0; at < (codes[0] ?? []).length; at += 1) {
      const row = body.insertRow();
      if (wrong.has(at)) row.className = "wrong";
      codes.forEach((column, place) => cell(row, "td", words[place][column[at]], place));
    }
  };

  const folded = (plot) => plot.closest("details:not([open])") !== null;
  const drawn = () => plots.filter((plot) => plot.dataset.drawn);
  const repaint = () => drawn().forEach((plot) => Plotly.relayout(plot, colours()));

  // A long page on a phone says of each section its question and figures; a touch shows its chart.
  const firsts = document.querySelectorAll("details.first");
  if (narrow.matches && firsts.length > MOST_CHARTS) firsts.forEach((fold) => (fold.open = false));

  // One chart a frame, so that the page answers while it draws.
  const waiting = plots.filter((plot) => !folded(plot));
  const next = () => {
    const plot = waiting.shift();
    if (plot === undefined) {
      document.documentElement.dataset.drawn = "yes";
      return;
    }
    draw(plot);
    setTimeout(next);
  };

  for (const fold of document.querySelectorAll("details")) {
    fold.addEventListener("toggle", () => {
      if (!fold.open) return;
      fold.querySelectorAll("table[id]").forEach(fill);
      for (const plot of fold.querySelectorAll(".plot")) {
        if (!folded(plot)) draw(plot);
      }
    });
  }

  dark.addEventListener("change", repaint);

  addEventListener("beforeprint", () => {
    printing = true;
    // Long tables are printed only if the reader has opened them.
    for (const fold of document.querySelectorAll("details:not([open]):not(.rows)")) {
      fold.open = true;
      fold.dataset.forPrint = "yes";
    }
    plots.forEach(draw);
    for (const plot of plots) {
      const beside = Number(getComputedStyle(plot).getPropertyValue("--beside") || 2);
      Plotly.relayout(plot, { ...colours(), autosize: false, width: PRINT_WIDTH / beside - PRINT_GAP });
    }
  });
  addEventListener("afterprint", () => {
    printing = false;
    for (const fold of document.querySelectorAll("details[data-for-print]")) {
      fold.open = false;
      delete fold.dataset.forPrint;
    }
    for (const plot of plots) Plotly.relayout(plot, { ...colours(), autosize: true, width: null });
  });

  next();
})();
