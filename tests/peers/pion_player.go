// A WHEP player on pion, the WebRTC stack of MediaMTX, LiveKit and Broadcast Box, as Debian packages it (version 3).
// Counts complete pictures, does not decode.
//
//	pion_player WHEP_URL H264|VP8 PICTURES SECONDS
package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"strconv"
	"sync"
	"time"

	"github.com/pion/webrtc" // Debian's path for version 3, without /v3
)

var version = "of unknown version" // set by the linker, from Debian's package

type report struct {
	Client   string `json:"client"`
	Codec    string `json:"codec"`
	Video    int    `json:"video"`
	Audio    int    `json:"audio"`
	Lost     int    `json:"lost"`
	Location string `json:"location"`
	Deleted  int    `json:"deleted"`
}

// player counts what comes until there is enough of it.
type player struct {
	connection *webrtc.PeerConnection
	wanted     int
	mutex      sync.Mutex
	report     report
	enough     chan struct{}
	once       sync.Once
}

// consume reads one track until it ends. A picture counts if every packet since the marker before it has come.
func (p *player) consume(track *webrtc.TrackRemote, _ *webrtc.RTPReceiver) {
	var last uint16
	started, whole := false, false
	for {
		packet, _, err := track.ReadRTP()
		if err != nil {
			return
		}
		missing := 0
		if started {
			missing = int(packet.SequenceNumber - last - 1)
		}
		started, last = true, packet.SequenceNumber
		whole = whole && missing == 0
		p.count(track, missing, packet.Marker && whole)
		whole = whole || packet.Marker
	}
}

func (p *player) count(track *webrtc.TrackRemote, missing int, complete bool) {
	p.mutex.Lock()
	defer p.mutex.Unlock()
	p.report.Lost += missing
	if track.Kind() == webrtc.RTPCodecTypeAudio {
		p.report.Audio++
	} else {
		p.report.Codec = track.Codec().MimeType
		if complete {
			p.report.Video++
		}
	}
	if p.report.Video >= p.wanted && p.report.Audio >= p.wanted {
		p.once.Do(func() { close(p.enough) })
	}
}

// connect offers one video codec and Opus, both to receive.
func connect(codec string) (*webrtc.PeerConnection, error) {
	video := webrtc.RTPCodecCapability{MimeType: "video/" + codec, ClockRate: 90000}
	if codec == "H264" {
		video.SDPFmtpLine = "level-asymmetry-allowed=1;packetization-mode=1;profile-level-id=42e01f"
	}
	audio := webrtc.RTPCodecCapability{MimeType: webrtc.MimeTypeOpus, ClockRate: 48000, Channels: 2}
	engine := &webrtc.MediaEngine{}
	for _, each := range []struct {
		kind       webrtc.RTPCodecType
		parameters webrtc.RTPCodecParameters
	}{
		{webrtc.RTPCodecTypeVideo, webrtc.RTPCodecParameters{RTPCodecCapability: video, PayloadType: 96}},
		{webrtc.RTPCodecTypeAudio, webrtc.RTPCodecParameters{RTPCodecCapability: audio, PayloadType: 111}},
	} {
		if err := engine.RegisterCodec(each.parameters, each.kind); err != nil {
			return nil, err
		}
	}
	connection, err := webrtc.NewAPI(webrtc.WithMediaEngine(engine)).NewPeerConnection(webrtc.Configuration{})
	if err != nil {
		return nil, err
	}
	receive := webrtc.RTPTransceiverInit{Direction: webrtc.RTPTransceiverDirectionRecvonly}
	for _, kind := range []webrtc.RTPCodecType{webrtc.RTPCodecTypeAudio, webrtc.RTPCodecTypeVideo} {
		if _, err := connection.AddTransceiverFromKind(kind, receive); err != nil {
			return nil, err
		}
	}
	return connection, nil
}

// negotiate posts the offer with all its candidates and takes the answer.
func (p *player) negotiate(endpoint string) error {
	offer, err := p.connection.CreateOffer(nil)
	if err != nil {
		return err
	}
	gathered := webrtc.GatheringCompletePromise(p.connection)
	if err := p.connection.SetLocalDescription(offer); err != nil {
		return err
	}
	<-gathered
	complete := p.connection.LocalDescription().SDP
	response, err := http.Post(endpoint, "application/sdp", bytes.NewBufferString(complete))
	if err != nil {
		return err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		return err
	}
	if response.StatusCode != http.StatusCreated {
		return fmt.Errorf("POST %s: %s %s", endpoint, response.Status, body)
	}
	base, err := url.Parse(endpoint)
	if err != nil {
		return err
	}
	location, err := base.Parse(response.Header.Get("Location"))
	if err != nil {
		return err
	}
	p.report.Location = location.String()
	return p.connection.SetRemoteDescription(webrtc.SessionDescription{Type: webrtc.SDPTypeAnswer, SDP: string(body)})
}

// leave ends the session.
func (p *player) leave() error {
	request, err := http.NewRequest(http.MethodDelete, p.report.Location, nil)
	if err != nil {
		return err
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	p.report.Deleted = response.StatusCode
	return nil
}

func play(endpoint, codec string, pictures int, limit time.Duration) (report, error) {
	connection, err := connect(codec)
	if err != nil {
		return report{}, err
	}
	defer connection.Close()
	p := &player{connection: connection, wanted: pictures, enough: make(chan struct{})}
	p.report.Client = "pion " + version
	connection.OnTrack(p.consume)
	if err := p.negotiate(endpoint); err != nil {
		return p.report, err
	}
	select {
	case <-p.enough:
	case <-time.After(limit):
		err = fmt.Errorf("not within %s: %d pictures", limit, pictures)
	}
	if failure := p.leave(); err == nil {
		err = failure
	}
	p.mutex.Lock()
	defer p.mutex.Unlock()
	return p.report, err
}

func main() {
	if len(os.Args) != 5 {
		fmt.Fprintln(os.Stderr, "pion_player WHEP_URL H264|VP8 PICTURES SECONDS")
		os.Exit(2)
	}
	pictures, err := strconv.Atoi(os.Args[3])
	if err == nil {
		var seconds int
		if seconds, err = strconv.Atoi(os.Args[4]); err == nil {
			var result report
			result, err = play(os.Args[1], os.Args[2], pictures, time.Duration(seconds)*time.Second)
			_ = json.NewEncoder(os.Stdout).Encode(result)
		}
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
