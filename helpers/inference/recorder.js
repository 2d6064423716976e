function render({ model, el }) {
  const button = document.createElement("button");
  const say = document.createElement("span");
  button.className = "jupyter-button mod-primary";
  el.append(button, say);
  let recorder = null;

  function rest(text) {
    recorder = null;
    button.textContent = "Record";
    say.textContent = text;
  }

  async function send(pieces) {
    const context = new AudioContext();
    const bytes = await new Blob(pieces).arrayBuffer();
    const sound = await context.decodeAudioData(bytes);
    await context.close();
    model.set("sample_rate", sound.sampleRate);
    model.set("samples", new DataView(sound.getChannelData(0).slice().buffer));
    model.save_changes();
    rest(` ${sound.duration.toFixed(1)} s recorded`);
  }

  async function start() {
    const stream = await navigator.mediaDevices.getUserMedia({ audio: true });
    const pieces = [];
    recorder = new MediaRecorder(stream);
    recorder.ondataavailable = (event) => pieces.push(event.data);
    recorder.onstop = () => {
      stream.getTracks().forEach((track) => track.stop());
      send(pieces).catch((error) => rest(` That was no sound (${error.message}).`));
    };
    recorder.start();
    button.textContent = "Stop";
    say.textContent = " recording";
  }

  rest("");
  if (!navigator.mediaDevices) {
    button.disabled = true;
    say.textContent = " This browser allows a microphone on localhost and over https only.";
  }
  button.onclick = () => {
    if (recorder) recorder.stop();
    else start().catch((error) => rest(` No microphone (${error.message}).`));
  };
  return () => recorder && recorder.stop();
}
export default { render };
