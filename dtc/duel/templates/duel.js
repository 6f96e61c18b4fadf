"use strict";
// One page for two ways to take part: with a server, which has the clips and takes each vote, or from a file, which has
// the clips of all trials and saves the answers at the end. Neither knows which clip is which.
const content = JSON.parse(document.getElementById("content").textContent);
const QUESTIONS = {
  single: {question: "Is this a human or a machine?", clips: ["The clip"], answers: {human: "A human", machine: "A machine"}},
  pair: {question: "Which one is the human?", clips: ["Clip A", "Clip B"], answers: {a: "A is the human", b: "B is the human"}},
};
const LISTENER = "dtc-duel-listener";  // the random number of this browser, so that a second round counts as the same listener
const RETRY_MS = 2000;
const element = (id) => document.getElementById(id);
const player = new Audio();  // one for all clips: a phone lets a page play only what a touch has started

function remembered(name) {
  try { return localStorage.getItem(name); } catch { return null; }
}

function remember(name, text) {
  try { localStorage.setItem(name, text); } catch { /* a private window may keep nothing */ }
}

// ── with a server ──

async function ask(path, body) {
  const request = body && {method: "POST", headers: {"Content-Type": "application/json"}, body: JSON.stringify(body)};
  const answer = await fetch(path, request);
  const isRepeated = path === "votes" && answer.status === 409;  // it is on disk, and its answer was lost on the way
  if (!answer.ok && !isRepeated) {
    const told = await answer.json().catch(() => ({}));
    throw Object.assign(new Error(told.error || `The server answers ${answer.status}.`), {status: answer.status});
  }
  return answer;
}

async function fetched(path) {  // not by the player: Safari plays only what it can ask for in parts
  return URL.createObjectURL(await (await ask(path)).blob());
}

const server = {
  volume: () => fetched("volume.wav"),
  async begin() {
    const begun = await (await ask("sessions", {consent: true, listener: remembered(LISTENER)})).json();
    remember(LISTENER, begun.listener);
    this.session = begun.session;
    return begun;
  },
  clip: (trial, side) => fetched(`clips/${trial.id}/${"ab"[side]}.wav`),
  vote: (trial, answer) => ask("votes", {trial: trial.id, answer}),
  async end() {
    showScore(await (await ask(`sessions/${this.session}/score`)).json());
  },
};

// ── from a file ──

function shuffled(trials) {
  return trials.map((trial) => [Math.random(), trial]).sort((one, other) => one[0] - other[0]).map(([, trial]) => trial);
}

const STATE = `dtc-duel-${content.page}`;  // order and answers, so that a page that is closed half way can be opened again
const file = {
  volume: async () => content.volume,
  async begin() {
    this.state = JSON.parse(remembered(STATE)) || this.drawn();
    remember(LISTENER, this.state.result.listener);
    const answered = this.state.result.answers.length;
    const clips = new Map(content.trials.map((trial) => [trial.id, trial.clips]));
    return {answered, trials: this.state.order.slice(answered).map((trial) => ({...trial, clips: clips.get(trial.id)}))};
  },
  drawn() {
    const listener = remembered(LISTENER) || Array.from(crypto.getRandomValues(new Uint8Array(16)), (n) => n.toString(16).padStart(2, "0")).join("");
    const trials = content.trials.map(({id, clips}) => ({id, form: clips.length === 1 ? "single" : "pair", swapped: clips.length === 2 && Math.random() < 0.5}));
    const order = ["single", "pair"].flatMap((form) => shuffled(trials.filter((trial) => trial.form === form)));
    return {order, result: {format: content.format, page: content.page, listener, answers: []}};
  },
  clip: async (trial, side) => trial.clips[trial.swapped ? 1 - side : side],
  async vote(trial, answer) {
    const after_s = (performance.now() - trial.shownAt) / 1000;
    element("saved").hidden = true;
    this.state.result.answers.push({trial: trial.id, answer, swapped: trial.swapped, after_s: Math.round(after_s * 100) / 100});
    remember(STATE, JSON.stringify(this.state));
  },
  async end() {
    element("result").textContent = "Save your answers";
    element("meaning").textContent = "They are in a file, which you send to whoever gave you this page. Your score comes back from there: this page does not know it.";
  },
  save() {
    const {result} = this.state, link = document.createElement("a");
    link.href = URL.createObjectURL(new Blob([JSON.stringify(result)], {type: "application/json"}));
    link.download = `duel-${content.page.slice(0, 8)}-${result.listener.slice(0, 8)}.json`;
    link.click();
    this.state.saved = result.answers.length;
    remember(STATE, JSON.stringify(this.state));
    element("saved").textContent = `The file ${link.download} with ${result.answers.length} of ${content.trials.length} answers is where your browser saves files. Send it to whoever gave you this page.`;
    element("saved").hidden = false;
  },
  unsaved() {
    return this.state ? this.state.result.answers.length - (this.state.saved || 0) : 0;
  },
};

// ── the game ──

const source = content.page ? file : server;
let trials = [], answered = 0, current = 0, heard = [], last = -1, urls = [], upcoming = null;
let shown = null;  // the trial on the page that has no answer yet
let playing = false, isBusy = false, noise = null;

function show(id) {
  for (const section of document.querySelectorAll("section")) section.hidden = section.id !== id;
  document.querySelector(`#${id} h2`)?.focus();
}

function report(error) {
  element("trouble").textContent = error ? `${error.message} ` : "";
  element("trouble").hidden = !error;
}

/** Play a sound, mark its button, and return once it has been heard to its end. */
async function play(url, button) {
  playing = true;
  button.classList.add("playing");
  try {
    player.src = url;
    const ended = new Promise((done, fail) => {
      player.onended = done;
      player.onerror = () => fail(new Error("The sound cannot be played."));
      player.onpause = () => { if (!player.ended) fail(new Error("The sound was interrupted. Play it again.")); };
    });
    ended.catch(() => {});  // where play() fails first
    await player.play();
    await ended;
  } finally {
    playing = false;
    button.classList.remove("playing");
  }
  button.classList.add("heard");
}

/** Call a function that needs the network until it answers; only a refusal ends that. */
async function persist(task) {
  for (;;) {
    try {
      const result = await task();
      report(null);
      return result;
    } catch (error) {
      if (error.status < 500) throw error;
      report(new Error("No connection. Trying again; nothing is lost."));
      await new Promise((done) => setTimeout(done, RETRY_MS));
    }
  }
}

function load(trial) {
  return Promise.all(QUESTIONS[trial.form].clips.map((_, side) => persist(() => source.clip(trial, side))));
}

async function showTrial() {
  if (current === trials.length) {
    await persist(() => source.end());
    show("end");
    return;
  }
  const trial = trials[current], {question, clips, answers} = QUESTIONS[trial.form];
  urls = await (upcoming || load(trial));
  upcoming = current + 1 < trials.length ? load(trials[current + 1]) : null;  // so that its sound begins at once
  upcoming?.catch(() => {});  // it is reported when the trial is shown
  heard = clips.map(() => false);
  last = -1;
  element("number").textContent = `Question ${answered + current + 1} of ${answered + trials.length}`;
  element("progress").max = answered + trials.length;
  element("progress").value = answered + current;
  element("question").textContent = question;
  element("clips").className = `clips ${trial.form}`;
  element("clips").replaceChildren(...clips.map((name, side) => clipButton(name, side)));
  element("answers").replaceChildren(...Object.entries(answers).map(([answer, name], n) => answerButton(answer, name, "AB"[n])));
  trial.shownAt = performance.now();
  shown = trial;
  if (source === file) element("save-some").hidden = !file.unsaved();
  show("trial");
  update();
}

function clipButton(name, side) {
  const button = document.createElement("button");
  button.className = "play";
  button.innerHTML = '<span class="disc" aria-hidden="true"></span><span class="name"><small></small></span>';
  button.querySelector(".name").prepend(name);
  button.onclick = () => playClip(side);
  return button;
}

function answerButton(answer, name, key) {
  const button = document.createElement("button"), label = document.createElement("kbd");
  label.textContent = key;
  label.setAttribute("aria-hidden", true);
  button.setAttribute("aria-keyshortcuts", key);
  button.append(label, name);
  button.onclick = () => vote(answer);
  return button;
}

function update() {
  const all = heard.every(Boolean);
  for (const button of element("answers").children) button.disabled = !all || playing || isBusy;
  for (const [side, button] of [...element("clips").children].entries()) {
    button.setAttribute("aria-disabled", playing || isBusy);  // one that is disabled loses the focus
    button.querySelector("small").textContent = button.matches(".playing") ? "listen to the end" : heard[side] ? "heard" : "not heard yet";
  }
  const keys = matchMedia("(hover: none)").matches ? "" : " (space)";
  const next = all ? "Your answer? You may hear it again first" : `Play ${heard.length === 1 ? "it" : heard.some(Boolean) ? "the other one" : "both"}${keys}`;
  element("hint").textContent = playing ? "" : next;  // a screen reader says it, which must not disturb the sound
}

async function playClip(side) {
  if (playing || isBusy) return;
  const played = play(urls[side], element("clips").children[side]);
  update();
  try {
    await played;
    heard[side] = true;
    last = side;
    report(null);
  } catch (error) {
    report(error);
  }
  update();
}

async function vote(answer) {
  if (!shown || !heard.every(Boolean) || playing || isBusy) return;
  isBusy = true;
  update();
  try {
    await persist(() => source.vote(shown, answer));
    shown = null;
    for (const url of urls) if (url.startsWith("blob:")) URL.revokeObjectURL(url);
    current += 1;
    await showTrial();
  } catch (error) {
    report(error);
  }
  isBusy = false;
  update();
}

function showScore({right, of, controls}) {
  element("result").textContent = "Your score";
  element("points").hidden = false;
  element("points").innerHTML = `${Number(right)}<small> of ${Number(of)}</small>`;
  const other = controls ? ` ${controls} more ${controls === 1 ? "question was a check" : "questions were checks"} without a right answer.` : "";
  element("meaning").textContent = `You were right in ${right} of ${of} questions. Whoever guesses is right in about half of them.${other}`;
}

async function start() {
  if (isBusy) return;
  isBusy = true;
  report(null);
  try {
    ({trials, answered} = await persist(() => source.begin()));
    current = 0;
    upcoming = null;
    await showTrial();
  } catch (error) {
    report(error);
  }
  isBusy = false;
  if (!element("trial").hidden) update();
}

// ── keys and buttons ──

const KEYS = {a: 0, b: 1};
const isSpace = (event) => event.key === " " && !element("trial").hidden && !event.target.closest("#answers, .save");  // there it is a click
document.addEventListener("keydown", (event) => {
  if (!element("volume").hidden && event.key === " " && !event.target.closest("button")) {  // on a button it is a click
    event.preventDefault();
    if (!event.repeat) element("noise").click();
  }
  if (element("trial").hidden || event.ctrlKey || event.altKey || event.metaKey) return;
  if (isSpace(event)) event.preventDefault();  // not a click on the button that has the focus, and no scrolling
  if (event.repeat) return;
  if (isSpace(event)) {
    const next = heard.indexOf(false);
    playClip(next === -1 ? (last + 1) % heard.length : next);
  } else if (event.key.toLowerCase() in KEYS) {
    element("answers").children[KEYS[event.key.toLowerCase()]].click();
  }
});
document.addEventListener("keyup", (event) => {
  if (isSpace(event)) event.preventDefault();
});
document.querySelector("[data-count]").textContent = content.page ? content.trials.length : content.trials;
element("agree").onchange = () => { element("begin").disabled = !element("agree").checked; };
element("begin").onclick = async () => {
  try {
    noise = await persist(() => source.volume());  // before it is played, which needs a click
    show("volume");
  } catch (error) {
    report(error);
  }
};
element("noise").onclick = async () => {
  if (playing) return;
  try {
    await play(noise, element("noise"));
    element("ready").disabled = false;
    report(null);
  } catch (error) {
    report(error);
  }
};
element("ready").onclick = start;
element("again").onclick = start;
for (const button of document.querySelectorAll(".save")) button.onclick = () => file.save();
addEventListener("beforeunload", (event) => { if (source === file && file.unsaved()) event.preventDefault(); });
element("again").hidden = source === file;  // it has the same clips
if (location.search) history.replaceState(null, "", location.pathname);  // the token is in a cookie by now
