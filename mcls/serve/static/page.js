"use strict";
const by = id => document.getElementById(id);
const SHOWN = 10; // labels in the tables, at most

let about = null;

async function start() {
  about = await (await fetch("/run")).json();
  by("run").textContent = about.name;
  document.title = `mcls serve ${about.name}`;
  const what = about.regression ? "numbers" : "labels";
  const megabytes = Math.round(about.max_bytes / 1e5) / 10;
  const minutes = Math.round(about.max_seconds / 6) / 10;
  by("about").textContent =
    `${about.labels.length} ${what}. Files of up to ${megabytes} MB and ${minutes} minutes ` +
    "are scored on this machine and not kept.";
}

async function score(file, name) {
  by("found").hidden = true;
  by("error").hidden = true;
  by("said").textContent = `Scoring ${name} …`;
  const player = by("given");
  if (player.src) URL.revokeObjectURL(player.src);
  player.src = URL.createObjectURL(file);
  player.hidden = false;
  if (file.size > about.max_bytes) {
    refuse(`${name} is larger than ${about.max_bytes / 1e6} MB`);
    return;
  }
  const form = new FormData();
  form.append("file", file, "audio");
  try {
    const answer = await fetch("/predict", { method: "POST", body: form });
    const found = await answer.json();
    if (!answer.ok) refuse(`${name}: ${found.detail}`);
    else show(found, name);
  } catch {
    refuse("the server does not answer");
  }
}

function refuse(reason) {
  by("said").textContent = "";
  by("error").textContent = reason;
  by("error").hidden = false;
}

function show(found, name) {
  const faults = Object.keys(found.faults);
  by("said").textContent =
    `${name}: ${found.seconds.toFixed(1)} s` + (faults.length ? `; audio: ${faults.join(", ")}` : "");
  by("predicted").textContent = about.regression
    ? ""
    : `Predicted: ${found.labels.length ? found.labels.join(", ") : "no label"}` +
      (about.no_probability ? `. There are no probabilities: ${about.no_probability}.` : "");
  showScores(found);
  showWindows(found);
  showNeighbours(found.neighbours);
  by("found").hidden = false;
}

function showScores(found) {
  const sure = found.probabilities;
  by("number").textContent = about.regression ? "Number" : sure ? "Probability" : "Score";
  const names = Object.keys(found.scores).slice(0, about.regression ? undefined : SHOWN);
  const numbers = names.map(name => (sure ?? found.scores)[name]);
  const least = sure ? 0 : Math.min(0, ...numbers);
  const most = sure ? 1 : Math.max(...numbers, least + 1e-9);
  const body = document.querySelector("#scores tbody");
  body.replaceChildren(...names.map((name, i) => {
    const row = document.createElement("tr");
    row.classList.toggle("yes", found.labels.includes(name));
    const bar = document.createElement("span");
    bar.className = "bar";
    bar.style.width = `${(100 * (numbers[i] - least)) / (most - least)}%`;
    row.append(cell("th", name), cell("td", numbers[i].toFixed(3)), cell("td", bar));
    row.firstChild.scope = "row";
    return row;
  }));
}

function showWindows(found) {
  const windows = found.windows;
  const names = Object.keys(found.scores).slice(0, SHOWN);
  const all = windows.flatMap(one => names.map(name => one.scores[name]));
  const least = Math.min(...all);
  const range = Math.max(...all) - least || 1;
  const times = document.createElement("tr");
  times.append(cell("td", ""), ...windows.map(one => cell("th", `${one.start.toFixed(1)} s`)));
  times.querySelectorAll("th").forEach(one => (one.scope = "col"));
  document.querySelector("#windows thead").replaceChildren(times);
  document.querySelector("#windows tbody").replaceChildren(...names.map(name => {
    const row = document.createElement("tr");
    row.append(cell("th", name), ...windows.map(one => {
      const made = cell("td", one.scores[name].toFixed(2));
      const share = Math.round((60 * (one.scores[name] - least)) / range);
      made.style.background = `color-mix(in srgb, var(--accent) ${share}%, transparent)`;
      return made;
    }));
    row.firstChild.scope = "row";
    return row;
  }));
}

function showNeighbours(neighbours) {
  by("similar").hidden = !about.has_neighbours;
  by("neighbours").replaceChildren(...neighbours.map(one => {
    const item = document.createElement("li");
    const labels = one.labels.length ? one.labels.join(", ") : "no label";
    item.append(`${one.track}: ${labels} (similarity ${one.similarity.toFixed(2)})`);
    if (one.audio) {
      const player = document.createElement("audio");
      player.controls = true;
      player.preload = "none";
      player.src = one.audio;
      player.setAttribute("aria-label", `Play ${one.track}`);
      item.append(player);
    }
    return item;
  }));
}

function cell(kind, content) {
  const made = document.createElement(kind);
  made.append(content);
  return made;
}

let recorder = null;

async function record() {
  if (recorder) {
    recorder.stop();
    return;
  }
  let stream;
  try {
    stream = await navigator.mediaDevices.getUserMedia({ audio: true });
  } catch (error) {
    refuse(`the microphone cannot be used: ${error.message}`);
    return;
  }
  const parts = [];
  recorder = new MediaRecorder(stream);
  recorder.ondataavailable = event => parts.push(event.data);
  recorder.onstop = () => {
    stream.getTracks().forEach(track => track.stop());
    const type = recorder.mimeType;
    recorder = null;
    by("record").textContent = "Record";
    by("record").setAttribute("aria-pressed", "false");
    score(new Blob(parts, { type }), "the recording");
  };
  recorder.start();
  by("record").textContent = "Stop recording";
  by("record").setAttribute("aria-pressed", "true");
}

const drop = by("drop");
drop.ondragover = event => {
  event.preventDefault();
  drop.classList.add("over");
};
drop.ondragleave = () => drop.classList.remove("over");
drop.ondrop = event => {
  event.preventDefault();
  drop.classList.remove("over");
  const file = event.dataTransfer.files[0];
  if (file) score(file, file.name);
};
by("file").onchange = event => {
  const file = event.target.files[0];
  if (file) score(file, file.name);
};
by("record").onclick = record;
start();
