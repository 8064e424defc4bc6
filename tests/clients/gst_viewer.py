"""A WHEP viewer made of GStreamer's webrtcbin. Prints one JSON object: decoded buffers by kind, status of the DELETE.

    /usr/bin/python3 gst_viewer.py WHEP_URL h264|vp8 PICTURES SECONDS

Runs on Debian's own Python, which has GStreamer's bindings; imports nothing of ours. All candidates are gathered before
the one POST. Ends when so many pictures and as many sound buffers are decoded, or with exit status 1 after so many
seconds.
"""

import itertools
import json
import sys
import urllib.parse
import urllib.request

import gi

gi.require_version("Gst", "1.0")
gi.require_version("GstSdp", "1.0")
gi.require_version("GstWebRTC", "1.0")
from gi.repository import GLib, Gst, GstSdp, GstWebRTC  # noqa: E402  the versions come first

RTP_CAPS = {
    "h264": "application/x-rtp,media=video,encoding-name=H264,payload=96,clock-rate=90000,"
    "packetization-mode=(string)1,profile-level-id=(string)42e01f",
    "vp8": "application/x-rtp,media=video,encoding-name=VP8,payload=97,clock-rate=90000",
    "opus": "application/x-rtp,media=audio,encoding-name=OPUS,payload=111,clock-rate=48000,encoding-params=(string)2",
}
DECODERS = {
    "H264": ["rtph264depay", "avdec_h264", "videoconvert"],
    "VP8": ["rtpvp8depay", "vp8dec", "videoconvert"],
    "OPUS": ["rtpopusdepay", "opusdec", "audioconvert"],
}


class GstViewer:
    """One pipeline: webrtcbin, and a decoder for each pad that it opens."""

    def __init__(self, url, codec, wanted):
        self.url, self.wanted = url, wanted
        self.loop = GLib.MainLoop()
        self.decoded = {"video": 0, "audio": 0}
        self.codecs, self.states = [], []
        self.location = None
        self.error = None
        self.pipeline = Gst.Pipeline.new()
        self.webrtc = Gst.ElementFactory.make("webrtcbin")
        self.webrtc.set_property("bundle-policy", GstWebRTC.WebRTCBundlePolicy.MAX_BUNDLE)
        self.pipeline.add(self.webrtc)
        for caps in (RTP_CAPS[codec], RTP_CAPS["opus"]):
            receive = GstWebRTC.WebRTCRTPTransceiverDirection.RECVONLY
            self.webrtc.emit("add-transceiver", receive, Gst.Caps.from_string(caps))
        self.webrtc.connect("on-negotiation-needed", self.on_negotiation_needed)
        self.webrtc.connect("notify::ice-gathering-state", self.on_gathering)
        self.webrtc.connect("notify::connection-state", self.on_state)
        self.webrtc.connect("pad-added", self.on_pad)
        bus = self.pipeline.get_bus()
        bus.add_signal_watch()
        bus.connect("message::error", self.on_error)

    def on_negotiation_needed(self, _webrtc):
        self.webrtc.emit("create-offer", None, Gst.Promise.new_with_change_func(self.on_offer))

    def on_offer(self, promise, *_):
        reply = promise.get_reply()  # kept in a variable: the SDP lives no longer than it
        offer = reply.get_value("offer")
        self.webrtc.emit("set-local-description", offer, Gst.Promise.new())

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

    def on_pad(self, _webrtc, pad):
        if pad.get_direction() != Gst.PadDirection.SRC:
            return
        structure = pad.get_current_caps().get_structure(0)
        kind, codec = structure.get_string("media"), structure.get_string("encoding-name")
        self.codecs.append(codec)
        elements = [Gst.ElementFactory.make(name) for name in ["queue", *DECODERS[codec], "fakesink"]]
        for element in elements:
            self.pipeline.add(element)
        for one, other in itertools.pairwise(elements):
            one.link(other)
        elements[-1].set_property("sync", False)
        elements[-1].get_static_pad("sink").add_probe(Gst.PadProbeType.BUFFER, self.on_buffer, kind)
        for element in elements:
            element.sync_state_with_parent()
        pad.link(elements[0].get_static_pad("sink"))

    def on_buffer(self, _pad, _info, kind):
        self.decoded[kind] += 1
        if min(self.decoded.values()) >= self.wanted:
            GLib.idle_add(self.loop.quit)
        return Gst.PadProbeReturn.OK

    def on_error(self, _bus, message):
        self.error = str(message.parse_error())
        self.loop.quit()

    def run(self, seconds):
        """Play until enough is decoded; whether it was."""
        GLib.timeout_add(int(seconds * 1000), self.loop.quit)
        self.pipeline.set_state(Gst.State.PLAYING)
        self.loop.run()
        enough = min(self.decoded.values()) >= self.wanted
        deleted = None
        if self.location:
            request = urllib.request.Request(self.location, method="DELETE")
            with urllib.request.urlopen(request, timeout=20) as response:
                deleted = response.status
        report = {"decoded": self.decoded, "codecs": self.codecs, "states": self.states, "deleted": deleted}
        print(json.dumps(report | {"error": self.error}), flush=True)
        self.pipeline.set_state(Gst.State.NULL)
        return enough


if __name__ == "__main__":
    Gst.init(None)
    viewer = GstViewer(sys.argv[1], sys.argv[2], int(sys.argv[3]))
    sys.exit(0 if viewer.run(float(sys.argv[4])) else 1)
