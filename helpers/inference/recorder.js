function render({ model, el }) {
  const button = document.createElement("button");
  const level = document.createElement("meter");
  const note = document.createElement("span");
  button.className = "jupyter-button mod-primary";
  button.style.width = "80px";
  level.style.margin = "0 8px";
  el.append(button, level, note);
  let recorder = null;

  function say(text) {
    note.textContent = text;
    model.set("note", text);
    model.save_changes();
  }

  function rest() {
    recorder = null;
    button.disabled = false;
    button.textContent = "Record";
    level.style.visibility = "hidden"; // it keeps its place
  }

  /** Show for how long and how loud it records, until the function that is returned is called. */
  function watch(stream) {
    const context = new AudioContext();
    const analyser = context.createAnalyser();
    context.createMediaStreamSource(stream).connect(analyser);
    const wave = new Float32Array(analyser.fftSize);
    const start = performance.now();
    level.style.visibility = "visible";
    const timer = setInterval(() => {
      analyser.getFloatTimeDomainData(wave);
      level.value = Math.max(...wave.map(Math.abs));
      note.textContent = `recording, ${((performance.now() - start) / 1000).toFixed(1)} s`;
    }, 100);
    return () => {
      clearInterval(timer);
      context.close();
    };
  }

  async function send(pieces) {
    button.disabled = true;
    note.textContent = "decoding …";
    const context = new AudioContext();
    const bytes = await new Blob(pieces).arrayBuffer();
    const sound = await context.decodeAudioData(bytes);
    await context.close();
    model.set("sample_rate", sound.sampleRate);
    model.set("samples", new DataView(sound.getChannelData(0).slice().buffer));
    rest();
    say(`${sound.duration.toFixed(1)} s recorded`);
  }

  async function start() {
    button.disabled = true; // while the browser asks for permission
    const stream = await navigator.mediaDevices.getUserMedia({ audio: true });
    const pieces = [];
    recorder = new MediaRecorder(stream);
    const unwatch = watch(stream);
    recorder.ondataavailable = (event) => pieces.push(event.data);
    recorder.onstop = () => {
      unwatch();
      stream.getTracks().forEach((track) => track.stop());
      send(pieces).catch((error) => {
        rest();
        say(`That was no sound (${error.message}).`);
      });
    };
    recorder.start();
    button.textContent = "Stop";
    button.disabled = false;
  }

  rest();
  note.textContent = model.get("note");
  model.on("change:note", () => (note.textContent = model.get("note")));
  if (!navigator.mediaDevices) {
    button.disabled = true;
    note.textContent = "This browser allows a microphone on localhost and over https only.";
  }
  button.onclick = () => {
    if (recorder) recorder.stop();
    else
      start().catch((error) => {
        rest();
        say(`No microphone (${error.message}).`);
      });
  };
  return () => recorder && recorder.stop();
}
export default { render };
