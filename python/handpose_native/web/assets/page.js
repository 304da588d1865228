"use strict";
// The picture is a stream of its own (video.mjpeg). Everything else on the page comes from status.json, asked for again
// and again; it also tells whether the server still sends this page its stream, which browsers do not.

const ASK_EVERY_MS = 700;
const ANSWER_WITHIN_MS = 4000;
const START_AGAIN_AFTER_MS = 3000;

const STATES = { starting: "starting", running: "live", still: "no picture", lost: "connection lost", ended: "ended", gone: "server gone" };
const COUNTS = [
  ["read", "read"], ["processed", "processed"], ["replaced", "dropped for newer ones"], ["damaged", "damaged"],
  ["every", "passed over"], ["late", "late"], ["repeated", "with a repeated time"], ["reconnected", "reconnections"],
];
const ALWAYS_SHOWN = new Set(["read", "processed", "replaced", "late"]);

const part = (id) => document.getElementById(id);
const number = (value, digits) => (value === null || value === undefined ? "–" : value.toFixed(digits));
const whole = (value) => value.toLocaleString("en");

let viewer = "";
let startedMs = -Infinity;
let paused = false;
let ended = false;

function make(tag, text, className) {
  const element = document.createElement(tag);
  element.textContent = text;
  if (className) element.className = className;
  return element;
}

function startVideo() {
  viewer = Math.random().toString(36).slice(2, 12);
  startedMs = performance.now();
  part("video").src = `video.mjpeg?viewer=${viewer}`;
}

function stopVideo() {
  viewer = "";
  part("video").removeAttribute("src");
}

function showStill() {
  viewer = "";
  part("video").src = `picture.jpg?${Date.now()}`;
}

function keepVideo(status) {
  const wanted = !paused && !document.hidden;
  // Before there is a picture the stream would keep the browser waiting for the page to be complete.
  if (!wanted || !status.newest) return;
  const sent = status.viewer !== null;
  const due = performance.now() - startedMs > START_AGAIN_AFTER_MS;
  if (!sent && due && !(ended && part("video").naturalWidth)) startVideo();
}

function showVideo() {
  const video = part("video");
  const some = video.naturalWidth > 0;
  video.hidden = !some;
  part("nothing").hidden = some;
}

function showState(name, message) {
  const state = part("state");
  const label = STATES[name] || name;
  if (state.textContent !== label) state.textContent = label;
  state.className = name;
  const notice = part("notice");
  const isBad = name !== "running" && name !== "starting";
  if (notice.textContent !== message) notice.textContent = message;
  notice.hidden = !isBad || !message;
  part("video").classList.toggle("old", isBad && name !== "ended");
  if (name === "starting") part("nothing").textContent = message;
}

function showSpeed(status) {
  const { recent, report } = status;
  part("fps").textContent = number(recent.fps, 1);
  part("latency").textContent = recent.latency_ms ? `${number(recent.latency_ms.median, 1)} ms` : "–";
  const limit = report && report.limiting_stage;
  part("limit").textContent = limit ? (limit === "read" ? "the source" : limit) : "–";
  const rows = Object.entries(recent.stages_ms);
  if (recent.latency_ms) rows.push(["latency", recent.latency_ms]);
  part("stages").replaceChildren(...rows.map(([name, times]) => {
    const row = document.createElement("tr");
    if (name === limit) row.className = "limit";
    const head = make("th", name === "read" ? "read, waiting" : name);
    head.scope = "row";
    row.append(head, ...[times.median, times.p95, times.p99].map((value) => make("td", number(value, 2))));
    return row;
  }));
}

function showHands(status) {
  const hands = status.newest ? status.newest.hands : [];
  const rows = hands.map((hand) => {
    const row = document.createElement("tr");
    const head = make("th", hand.handedness || "hand");
    head.scope = "row";
    row.append(head, ...[hand.handedness_score, hand.presence].map((value) => make("td", number(value, 2))));
    row.append(make("td", hand.track_id === null ? "–" : hand.track_id));
    return row;
  });
  if (!rows.length) {
    const row = document.createElement("tr");
    const cell = make("td", "no hand in the picture", "none");
    cell.colSpan = 4;
    row.append(cell);
    rows.push(row);
  }
  part("hands").replaceChildren(...rows);
}

function fill(list, pairs) {
  part(list).replaceChildren(...pairs.flatMap(([name, value]) => [make("dt", name), make("dd", value)]));
}

function duration(seconds) {
  const parts = [Math.floor(seconds / 3600), Math.floor(seconds / 60) % 60, Math.floor(seconds) % 60];
  return parts.map((value) => String(value).padStart(2, "0")).join(":");
}

function showRun(status) {
  const { source, report, viewers } = status;
  const size = status.newest ? `${status.newest.width} × ${status.newest.height}` : "";
  part("source").textContent = [source.name, size, source.details].filter(Boolean).join(", ");
  document.title = `${STATES[status.state] || status.state}: ${source.name}`;
  const pairs = [["viewers", `${viewers.now} of ${viewers.limit}`]];
  if (report) {
    const ledger = report.ledger;
    fill("frames", COUNTS.filter(([name]) => ledger[name] || ALWAYS_SHOWN.has(name)).map(([name, label]) => [label, whole(ledger[name])]));
    pairs.unshift(["model", report.model], ["running for", duration(report.seconds)]);
    pairs.push(["frames with hands", `${whole(report.frames_with_hands)} of ${whole(report.frames)}`]);
  }
  fill("run", pairs);
  part("problems").replaceChildren(...status.problems.slice(-5).map((problem) => make("li", problem)));
  const seen = status.viewer && status.viewer.fps;
  part("seen").textContent = seen ? `you see ${number(seen, 0)} a second` : "";
}

async function ask() {
  const limit = new AbortController();
  const timer = setTimeout(() => limit.abort(), ANSWER_WITHIN_MS);
  try {
    const answer = await fetch(`status.json?viewer=${viewer}`, { signal: limit.signal, cache: "no-store" });
    if (answer.ok) return await answer.json();
    return { refused: `${answer.status}: ${(await answer.text()).trim()}` };
  } catch {
    return null;
  } finally {
    clearTimeout(timer);
  }
}

async function update() {
  const status = await ask();
  if (status === null) {
    part("fps").textContent = "–";
    // What the server said before it left tells more.
    if (!ended) showState("gone", "The server does not answer. It is asked again.");
  } else if (status.refused) {
    showState("gone", `The server refuses: ${status.refused}`);
  } else {
    ended = status.state === "ended";
    showState(status.state, status.message);
    showSpeed(status);
    showHands(status);
    showRun(status);
    keepVideo(status);
  }
  showVideo();
}

async function run() {
  for (;;) {
    if (!document.hidden) await update();
    await new Promise((resolve) => setTimeout(resolve, ASK_EVERY_MS));
  }
}

part("video").addEventListener("load", showVideo);
part("pause").addEventListener("click", () => {
  paused = !paused;
  const button = part("pause");
  button.textContent = paused ? "Go on" : "Pause";
  button.setAttribute("aria-pressed", String(paused));
  if (paused) showStill();
  else startVideo();
});
part("full").addEventListener("click", () => {
  if (document.fullscreenElement) document.exitFullscreen();
  else if (part("video").requestFullscreen) part("video").requestFullscreen();
});
// A page that nobody sees takes no pictures.
document.addEventListener("visibilitychange", () => {
  if (document.hidden) stopVideo();
  else if (!paused) startVideo();
});
window.addEventListener("pagehide", stopVideo);

window.addEventListener("load", run);
