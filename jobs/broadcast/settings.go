package broadcast

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"os"
	"strconv"

	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/maintnotifications"
)

// CheckSettings tells all that is wrong with the settings.
func (j *Job) CheckSettings() error {
	return errors.Join(j.checkAddr(), j.checkTarget(), j.checkTrim(), j.checkRest())
}

func (j *Job) checkAddr() error {
	if j.Addr == "" {
		return errors.New("addr: not set: give Redis as host:port")
	}
	host, port, err := net.SplitHostPort(j.Addr)
	if err != nil || host == "" {
		return fmt.Errorf("addr: %q: must be host:port, like redis.example.com:6379", j.Addr)
	}
	if n, err := strconv.ParseUint(port, 10, 16); err != nil || n == 0 {
		return fmt.Errorf("addr: port %q: must be 1 to 65535", port)
	}
	return nil
}

func (j *Job) checkTarget() error {
	switch {
	case j.Channel == "" && j.Stream == "":
		return errors.New("channel: not set: give the channel to publish to, or stream for one that keeps messages")
	case j.Channel != "" && j.Stream != "":
		return errors.New("stream: is set beside channel: remove one of them")
	}
	return nil
}

func (j *Job) checkTrim() error {
	var errs []error
	if j.MaxLength < 0 {
		errs = append(errs, fmt.Errorf("max_length: %d: must be 1 or more", j.MaxLength))
	}
	if j.MaxAge < 0 {
		errs = append(errs, fmt.Errorf("max_age: %s: must be more than 0", j.MaxAge))
	}
	if j.MaxLength > 0 && j.MaxAge > 0 {
		errs = append(errs, errors.New("max_age: is set beside max_length: Redis trims by one of them"))
	}
	if j.Stream == "" && (j.MaxLength != 0 || j.MaxAge != 0) {
		errs = append(errs, errors.New("max_length, max_age: trim a stream, and none is set"))
	}
	return errors.Join(errs...)
}

func (j *Job) checkRest() error {
	var errs []error
	if j.Username != "" && j.Password == "" {
		errs = append(errs, errors.New("password: not set, and username is: set both, or neither"))
	}
	if j.DB < 0 {
		errs = append(errs, fmt.Errorf("db: %d: must be 0 or more", j.DB))
	}
	if j.TLSCA != "" && !j.TLS {
		errs = append(errs, errors.New("tls_ca: is set without tls = true"))
	}
	if j.Timeout <= 0 {
		errs = append(errs, fmt.Errorf("timeout: %s: must be more than 0", j.Timeout))
	}
	return errors.Join(errs...)
}

// options are those of a client that asks no more of Redis than a publisher needs, and that tries a
// command once: a command whose answer was lost may have been done, and the queue tries again.
func (j *Job) options() (*redis.Options, error) {
	o := &redis.Options{
		Addr: j.Addr, Username: j.Username, Password: string(j.Password), DB: j.DB,
		DisableIdentity: true, Protocol: 2, // so that a user who may only publish is enough
		MaintNotificationsConfig: &maintnotifications.Config{Mode: maintnotifications.ModeDisabled},
		MaxRetries:               -1, DialerRetries: 1,
		DialTimeout: j.Timeout, ReadTimeout: j.Timeout, WriteTimeout: j.Timeout, ContextTimeoutEnabled: true,
	}
	if !j.TLS {
		return o, nil
	}
	o.TLSConfig = &tls.Config{MinVersion: tls.VersionTLS12}
	if j.TLSCA == "" {
		return o, nil
	}
	text, err := os.ReadFile(j.TLSCA)
	if err != nil {
		return nil, fmt.Errorf("tls_ca: %w", err)
	}
	o.TLSConfig.RootCAs = x509.NewCertPool()
	if !o.TLSConfig.RootCAs.AppendCertsFromPEM(text) {
		return nil, fmt.Errorf("tls_ca: %s: holds no certificate in PEM", j.TLSCA)
	}
	return o, nil
}
