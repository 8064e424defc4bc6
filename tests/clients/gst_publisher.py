"""A WHIP publisher made of GStreamer's webrtcbin. Prints one JSON object.

    /usr/bin/python3 gst_publisher.py WHIP_URL WAV_FILE SECONDS

Runs on Debian's own Python, which has GStreamer's bindings; imports nothing of ours but the file beside it. Sends
silence and a test picture in VP8 until it is connected, then the file once, in real time.
"""

import json
import sys
import urllib.parse
import urllib.request

import gi

gi.require_version("Gst", "1.0")
gi.require_version("GstSdp", "1.0")
gi.require_version("GstWebRTC", "1.0")
from gi.repository import GLib, Gst, GstSdp, GstWebRTC  # noqa: E402  the versions come first

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


class GstPublisher:
    """One pipeline, and the speech that is mixed into it once it is connected."""

    def __init__(self, url, wav):
        self.url, self.wav = url, wav
        self.loop = GLib.MainLoop()
        self.location, self.error = None, None
        self.spoken = False
        self.states = []
        self.pipeline = Gst.parse_launch(PIPELINE)
        self.webrtc = self.pipeline.get_by_name("webrtc")
        for index in range(2):
            send = GstWebRTC.WebRTCRTPTransceiverDirection.SENDONLY
            self.webrtc.emit("get-transceiver", index).set_property("direction", send)
        self.webrtc.connect("on-negotiation-needed", self.on_negotiation_needed)
        self.webrtc.connect("notify::ice-gathering-state", self.on_gathering)
        self.webrtc.connect("notify::connection-state", self.on_state)
        bus = self.pipeline.get_bus()
        bus.add_signal_watch()
        bus.connect("message::error", self.on_error)

    def on_negotiation_needed(self, _webrtc):
        self.webrtc.emit("create-offer", None, Gst.Promise.new_with_change_func(self.on_offer))

    def on_offer(self, promise, *_):
        reply = promise.get_reply()  # kept in a variable: the SDP lives no longer than it
        self.webrtc.emit("set-local-description", reply.get_value("offer"), Gst.Promise.new())

    def on_gathering(self, *_):
        complete = GstWebRTC.WebRTCICEGatheringState.COMPLETE
        if self.location is None and self.webrtc.get_property("ice-gathering-state") == complete:
            self.location = ""
            self.negotiate(self.webrtc.get_property("local-description").sdp.as_text())

    def negotiate(self, offer):
        request = urllib.request.Request(self.url, offer.encode(), {"Content-Type": "application/sdp"})
        with urllib.request.urlopen(request, timeout=20) as response:
            body = response.read()
            self.location = urllib.parse.urljoin(self.url, response.headers["Location"])
        _, message = GstSdp.SDPMessage.new()
        GstSdp.sdp_message_parse_buffer(body, message)
        answer = GstWebRTC.WebRTCSessionDescription.new(GstWebRTC.WebRTCSDPType.ANSWER, message)
        self.webrtc.emit("set-remote-description", answer, Gst.Promise.new())

    def on_state(self, *_):
        self.states.append(self.webrtc.get_property("connection-state").value_nick)
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

    def on_error(self, _bus, message):
        self.error = str(message.parse_error())
        self.loop.quit()

    def run(self, seconds):
        """Publish; whether all of the file was sent."""
        GLib.timeout_add(int(seconds * 1000), self.loop.quit)
        self.pipeline.set_state(Gst.State.PLAYING)
        self.loop.run()
        deleted = None
        if self.location:
            request = urllib.request.Request(self.location, method="DELETE")
            with urllib.request.urlopen(request, timeout=20) as response:
                deleted = response.status
        report = {"client": f"webrtcbin of {Gst.version_string()}", "location": self.location, "deleted": deleted}
        print(json.dumps(report | {"states": self.states, "error": self.error}), flush=True)
        self.pipeline.set_state(Gst.State.NULL)
        return self.spoken and self.error is None


if __name__ == "__main__":
    Gst.init(None)
    publisher = GstPublisher(sys.argv[1], sys.argv[2])
    sys.exit(0 if publisher.run(float(sys.argv[3])) else 1)
