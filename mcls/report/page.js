"use strict";
const read = id => JSON.parse(document.getElementById(id).textContent);

// Charts: all in one style, as SVG, so that they follow the colours of the page and print sharply.
const charts = read("charts");
const drawn = [...document.querySelectorAll("[data-chart]")].map(place =>
  vegaEmbed(place, charts.specs[place.dataset.chart], {
    mode: "vega-lite", renderer: "svg", actions: false, config: charts.config,
  }));
window.mclsReady = Promise.all(drawn).then(() => true);

// Players: the audio is kept once, as text, and played from memory.
const audio = read("audio");
const urls = {};
const urlOf = key => urls[key] ??= URL.createObjectURL(new Blob(
  [Uint8Array.from(atob(audio[key]), c => c.charCodeAt(0))], {type: "audio/webm"}));
const players = [...document.querySelectorAll("audio")];
for (const player of players) {
  if (player.dataset.audio) player.src = urlOf(player.dataset.audio);
  const time = player.closest(".card").querySelector(".time");
  const show = () => time?.style.setProperty("--at", Math.min(1, player.currentTime / time.dataset.seconds));
  player.addEventListener("timeupdate", show);
  player.addEventListener("play", () => {
    players.forEach(other => other !== player && other.pause());
    time?.classList.add("playing");
  });
  time?.querySelector(".track")?.addEventListener("click", event => {
    const box = event.currentTarget.getBoundingClientRect();
    player.currentTime = (event.clientX - box.left) / box.width * time.dataset.seconds;
    player.play();
  });
}

// Cells of confusion matrices: a list of their tracks below the matrix.
const cells = read("cells");
for (const button of document.querySelectorAll("[data-cell]")) {
  button.setAttribute("aria-pressed", "false");
  button.addEventListener("click", () => {
    const [run, i, j] = button.dataset.cell.split(":");
    const {names, tracks} = cells[run];
    document.querySelectorAll(`[data-cell^="${run}:"]`).forEach(other =>
      other.setAttribute("aria-pressed", String(other === button)));
    const place = document.getElementById(`${run}-cell`);
    const found = tracks[`${i}:${j}`];
    const title = document.createElement("h5");
    title.textContent = `${found.n} tracks of ${names[i]} predicted as ${names[j]}`
      + (found.list.length < found.n ? `; the first ${found.list.length}` : "");
    const list = document.createElement("ul");
    for (const [track, amount, card] of found.list) {
      const item = list.appendChild(document.createElement("li"));
      const name = item.appendChild(document.createElement(card ? "a" : "span"));
      name.textContent = track;
      if (card) name.href = `#${card}`;
      item.append(` (${amount})`);
    }
    place.replaceChildren(title, list);
  });
}
