// A STUN and TURN server on loopback, on pion's, as Debian packages it (version 2): UDP and TCP on one free port.
// Says on its first line which, and serves until it is told to end.
//
//	turn_server USER PASSWORD SECRET
//
// Whoever comes as USER needs PASSWORD. Any other name must be of coturn's form, EXPIRY:NAME, and its password made of
// SECRET (use-auth-secret).
package main

import (
	"crypto/hmac"
	"crypto/sha1"
	"encoding/base64"
	"fmt"
	"net"
	"os"
	"os/signal"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/pion/turn/v2"
)

const realm = "test"

// passwordOf says what a user's password is; false where there is no such user, or no more.
func passwordOf(username, user, password, secret string) (string, bool) {
	if username == user {
		return password, true
	}
	expiry, err := strconv.ParseInt(strings.Split(username, ":")[0], 10, 64)
	if err != nil || expiry < time.Now().Unix() {
		return "", false
	}
	mac := hmac.New(sha1.New, []byte(secret))
	mac.Write([]byte(username))
	return base64.StdEncoding.EncodeToString(mac.Sum(nil)), true
}

func serve(user, password, secret string) error {
	listener, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		return err
	}
	packets, err := net.ListenPacket("udp4", listener.Addr().String())
	if err != nil {
		return err
	}
	relays := &turn.RelayAddressGeneratorStatic{RelayAddress: net.ParseIP("127.0.0.1"), Address: "127.0.0.1"}
	server, err := turn.NewServer(turn.ServerConfig{
		Realm: realm,
		AuthHandler: func(username, realm string, _ net.Addr) ([]byte, bool) {
			known, ok := passwordOf(username, user, password, secret)
			return turn.GenerateAuthKey(username, realm, known), ok
		},
		PacketConnConfigs: []turn.PacketConnConfig{{PacketConn: packets, RelayAddressGenerator: relays}},
		ListenerConfigs:   []turn.ListenerConfig{{Listener: listener, RelayAddressGenerator: relays}},
	})
	if err != nil {
		return err
	}
	fmt.Println(listener.Addr().(*net.TCPAddr).Port)
	ended := make(chan os.Signal, 1)
	signal.Notify(ended, syscall.SIGTERM, syscall.SIGINT)
	<-ended
	return server.Close()
}

func main() {
	if err := serve(os.Args[1], os.Args[2], os.Args[3]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
