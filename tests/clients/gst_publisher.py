"""A WHIP publisher made of GStreamer's webrtcbin. Prints one JSON object.

    /usr/bin/python3 gst_publisher.py WHIP_URL WAV_FILE SECONDS

Runs on Debian's own Python, which has GStreamer's bindings; imports nothing of ours but the file beside it. Sends
silence and a test picture in VP8 until it is connected, then the file once, in real time.
"""

import sys

from gst_peer import GLib, Gst, GstPeer, GstWebRTC

# The mixer is fed with live silence, so that it has a clock of its own and sends whether the file plays or not.
PIPELINE = """
webrtcbin name=webrtc bundle-policy=max-bundle
videotestsrc is-live=true ! video/x-raw,format=I420,width=640,height=360,framerate=25/1
  ! vp8enc deadline=1 cpu-used=8 keyframe-max-dist=50 ! rtpvp8pay
  ! application/x-rtp,media=video,encoding-name=VP8,payload=97,clock-rate=90000 ! webrtc.
audiotestsrc is-live=true wave=silence samplesperbuffer=960 ! audio/x-raw,rate=48000,channels=2
  ! audiomixer name=mixer ! audio/x-raw,rate=48000,channels=2 ! opusenc bitrate=96000 ! rtpopuspay
  ! application/x-rtp,media=audio,encoding-name=OPUS,payload=111,clock-rate=48000,encoding-params=(string)2 ! webrtc.
"""
SPEECH = """
filesrc name=file ! wavparse ! audioconvert ! audioresample ! audio/x-raw,rate=48000,channels=2 ! identity name=speech
"""


class GstPublisher(GstPeer):
    """One pipeline, and the speech that is mixed into it once it is connected."""

    def __init__(self, url, wav):
        pipeline = Gst.parse_launch(PIPELINE)
        super().__init__(url, pipeline, pipeline.get_by_name("webrtc"))
        self.wav = wav
        self.spoken = False
        for index in range(2):
            send = GstWebRTC.WebRTCRTPTransceiverDirection.SENDONLY
            self.webrtc.emit("get-transceiver", index).set_property("direction", send)

    def on_state(self, *_):
        super().on_state()
        if self.states[-1] == "connected":
            GLib.idle_add(self.speak)
        elif self.states[-1] == "failed":
            self.loop.quit()

    def speak(self):
        """Mix the file in, from now on."""
        speech = Gst.parse_bin_from_description(SPEECH, True)
        speech.get_by_name("file").set_property("location", self.wav)
        self.pipeline.add(speech)
        pad = self.pipeline.get_by_name("mixer").request_pad_simple("sink_%u")
        pad.set_offset(self.pipeline.get_clock().get_time() - self.pipeline.get_base_time())
        pad.add_probe(Gst.PadProbeType.EVENT_DOWNSTREAM, self.on_event)
        speech.get_static_pad("src").link(pad)
        speech.sync_state_with_parent()
        return GLib.SOURCE_REMOVE

    def on_event(self, _pad, info):
        if info.get_event().type == Gst.EventType.EOS:  # the mixer holds the file back to real time
            self.spoken = True
            GLib.timeout_add(200, self.loop.quit)  # what is on its way through encoder and network
        return Gst.PadProbeReturn.OK

    def run(self, seconds):
        """Publish; whether all of the file was sent."""
        deleted = self.play(seconds)
        self.end({"client": f"webrtcbin of {Gst.version_string()}", "location": self.location, "deleted": deleted})
        return self.spoken and self.error is None


if __name__ == "__main__":
    Gst.init(None)
    publisher = GstPublisher(sys.argv[1], sys.argv[2])
    sys.exit(0 if publisher.run(float(sys.argv[3])) else 1)
