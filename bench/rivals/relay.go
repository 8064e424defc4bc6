// A WHEP relay on pion, the WebRTC stack of MediaMTX, LiveKit and Broadcast Box, as Debian packages it (version 3): RTP
// that comes in on two UDP ports goes out to every viewer.
//
//	relay ADDRESS VIDEO_PORT AUDIO_PORT
package main

import (
	"io"
	"log"
	"net"
	"net/http"
	"os"

	"github.com/pion/webrtc" // Debian's path for version 3, without /v3
)

const largestPacket = 1500

var (
	h264 = webrtc.RTPCodecCapability{
		MimeType:    webrtc.MimeTypeH264,
		ClockRate:   90000,
		SDPFmtpLine: "level-asymmetry-allowed=1;packetization-mode=1;profile-level-id=42e01f",
	}
	opus = webrtc.RTPCodecCapability{
		MimeType:    webrtc.MimeTypeOpus,
		ClockRate:   48000,
		Channels:    2,
		SDPFmtpLine: "minptime=10;useinbandfec=1",
	}
)

// forward sends what arrives at a port to all viewers of a track.
func forward(port string, track *webrtc.TrackLocalStaticRTP) {
	socket, err := net.ListenPacket("udp", net.JoinHostPort("127.0.0.1", port))
	if err != nil {
		log.Fatal(err)
	}
	buffer := make([]byte, largestPacket)
	for {
		size, _, err := socket.ReadFrom(buffer)
		if err != nil {
			log.Fatal(err)
		}
		if _, err := track.Write(buffer[:size]); err != nil {
			log.Print(err)
		}
	}
}

// newTrack is a track with RTP from a port.
func newTrack(codec webrtc.RTPCodecCapability, name, port string) webrtc.TrackLocal {
	track, err := webrtc.NewTrackLocalStaticRTP(codec, name, "avatar")
	if err != nil {
		log.Fatal(err)
	}
	go forward(port, track)
	return track
}

// newAPI knows the two codecs and offers loopback addresses, where the benchmark's viewers are.
func newAPI() *webrtc.API {
	media := &webrtc.MediaEngine{}
	for kind, parameters := range map[webrtc.RTPCodecType]webrtc.RTPCodecParameters{
		webrtc.RTPCodecTypeVideo: {RTPCodecCapability: h264, PayloadType: 96},
		webrtc.RTPCodecTypeAudio: {RTPCodecCapability: opus, PayloadType: 111},
	} {
		if err := media.RegisterCodec(parameters, kind); err != nil {
			log.Fatal(err)
		}
	}
	settings := webrtc.SettingEngine{}
	settings.SetIncludeLoopbackCandidate(true)
	return webrtc.NewAPI(webrtc.WithMediaEngine(media), webrtc.WithSettingEngine(settings))
}

// answer makes a viewer's connection; the answer has all candidates.
func answer(api *webrtc.API, tracks []webrtc.TrackLocal, offer string) (string, error) {
	connection, err := api.NewPeerConnection(webrtc.Configuration{})
	if err != nil {
		return "", err
	}
	for _, track := range tracks {
		sender, err := connection.AddTrack(track)
		if err != nil {
			return "", err
		}
		go func() { // what viewers report has to be read, or it piles up
			buffer := make([]byte, largestPacket)
			for {
				if _, _, err := sender.Read(buffer); err != nil {
					return
				}
			}
		}()
	}
	if err := connection.SetRemoteDescription(webrtc.SessionDescription{Type: webrtc.SDPTypeOffer, SDP: offer}); err != nil {
		return "", err
	}
	local, err := connection.CreateAnswer(nil)
	if err != nil {
		return "", err
	}
	gathered := webrtc.GatheringCompletePromise(connection)
	if err := connection.SetLocalDescription(local); err != nil {
		return "", err
	}
	<-gathered
	return connection.LocalDescription().SDP, nil
}

func main() {
	api := newAPI()
	tracks := []webrtc.TrackLocal{newTrack(opus, "audio", os.Args[3]), newTrack(h264, "video", os.Args[2])}
	http.HandleFunc("/whep", func(writer http.ResponseWriter, request *http.Request) {
		if request.Method != http.MethodPost {
			return
		}
		offer, err := io.ReadAll(request.Body)
		if err != nil {
			return
		}
		sdp, err := answer(api, tracks, string(offer))
		if err != nil {
			http.Error(writer, err.Error(), http.StatusUnprocessableEntity)
			return
		}
		writer.Header().Set("Content-Type", "application/sdp")
		writer.WriteHeader(http.StatusCreated)
		if _, err := io.WriteString(writer, sdp); err != nil {
			log.Print(err)
		}
	})
	log.Fatal(http.ListenAndServe(os.Args[1], nil))
}
