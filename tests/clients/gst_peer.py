"""What viewer and publisher made of GStreamer's webrtcbin share: one offer, all candidates in it, one POST, one DELETE.

Runs on Debian's own Python, which has GStreamer's bindings; imports nothing of ours.
"""

import json
import urllib.parse
import urllib.request

import gi

gi.require_version("Gst", "1.0")
gi.require_version("GstSdp", "1.0")
gi.require_version("GstWebRTC", "1.0")
from gi.repository import GLib, Gst, GstSdp, GstWebRTC  # noqa: E402  the versions come first


class GstPeer:
    """A pipeline with a webrtcbin in it."""

    def __init__(self, url, pipeline, webrtc):
        self.url, self.pipeline, self.webrtc = url, pipeline, webrtc
        self.loop = GLib.MainLoop()
        self.location, self.error = None, None
        self.states = []
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

    def on_error(self, _bus, message):
        self.error = str(message.parse_error())
        self.loop.quit()

    def play(self, seconds):
        """Run until somebody quits the loop, or for so long; then end the session: the status of its DELETE."""
        GLib.timeout_add(int(seconds * 1000), self.loop.quit)
        self.pipeline.set_state(Gst.State.PLAYING)
        self.loop.run()
        if not self.location:
            return None
        request = urllib.request.Request(self.location, method="DELETE")
        with urllib.request.urlopen(request, timeout=20) as response:
            return response.status

    def end(self, report):
        """Print one JSON object and stop."""
        print(json.dumps(report | {"states": self.states, "error": self.error}), flush=True)
        self.pipeline.set_state(Gst.State.NULL)
