"""A WHEP viewer made of GStreamer's webrtcbin. Prints one JSON object: decoded buffers by kind, status of the DELETE.

    /usr/bin/python3 gst_viewer.py WHEP_URL h264|vp8 PICTURES SECONDS

Runs on Debian's own Python, which has GStreamer's bindings; imports nothing of ours but the file beside it. All
candidates are gathered before the one POST. Ends when so many pictures and as many sound buffers are decoded, or with
exit status 1 after so many seconds.
"""

import itertools
import sys

from gst_peer import GLib, Gst, GstPeer, GstWebRTC

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


class GstViewer(GstPeer):
    """One pipeline: webrtcbin, and a decoder for each pad that it opens."""

    def __init__(self, url, codec, wanted):
        pipeline, webrtc = Gst.Pipeline.new(), Gst.ElementFactory.make("webrtcbin")
        webrtc.set_property("bundle-policy", GstWebRTC.WebRTCBundlePolicy.MAX_BUNDLE)
        pipeline.add(webrtc)
        super().__init__(url, pipeline, webrtc)
        self.wanted = wanted
        self.decoded = {"video": 0, "audio": 0}
        self.codecs = []
        for caps in (RTP_CAPS[codec], RTP_CAPS["opus"]):
            receive = GstWebRTC.WebRTCRTPTransceiverDirection.RECVONLY
            self.webrtc.emit("add-transceiver", receive, Gst.Caps.from_string(caps))
        self.webrtc.connect("pad-added", self.on_pad)

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

    def run(self, seconds):
        """Play until enough is decoded; whether it was."""
        deleted = self.play(seconds)
        enough = min(self.decoded.values()) >= self.wanted
        self.end({"decoded": self.decoded, "codecs": self.codecs, "deleted": deleted})
        return enough


if __name__ == "__main__":
    Gst.init(None)
    viewer = GstViewer(sys.argv[1], sys.argv[2], int(sys.argv[3]))
    sys.exit(0 if viewer.run(float(sys.argv[4])) else 1)
