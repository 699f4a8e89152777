package localaws

import (
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha1" // SignatureVersion 1 is made with it
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"math/big"
	"net/http"
	"strings"
	"sync"
	"time"
)

// signer signs what SNS sends, with a certificate of its own.
type signer struct {
	key *rsa.PrivateKey
	pem []byte
}

// signatureLength is how long a signature is in an envelope: that of a key of 2,048 bits, in base64.
const signatureLength = 344

// snsSigner signs for every server of this process: a key takes longer to make than most tests to
// run, and is made when first a signature or the certificate is looked at.
var snsSigner = sync.OnceValue(newSigner)

// certificatePath is where a server shows the certificate, named as AWS names its own.
var certificatePath = "/SimpleNotificationService-" + strings.ReplaceAll(newID(), "-", "") + ".pem"

func newSigner() *signer {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		panic("localaws: make a key: " + err.Error()) // crypto/rand never fails
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1),
		Subject:      pkix.Name{CommonName: "sns.amazonaws.com", Organization: []string{"localaws"}},
		DNSNames:     []string{"sns.amazonaws.com"},
		// Valid in the year 2000 too, which is when testing/synctest begins.
		NotBefore: time.Date(1999, 1, 1, 0, 0, 0, 0, time.UTC),
		NotAfter:  time.Date(2099, 1, 1, 0, 0, 0, 0, time.UTC),
		KeyUsage:  x509.KeyUsageDigitalSignature,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		panic("localaws: make a certificate: " + err.Error()) // of a template that is always the same
	}
	return &signer{key: key, pem: pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})}
}

// sign returns the signature of a text, by SignatureVersion: "1" is SHA1withRSA, "2" SHA256withRSA.
func (s *signer) sign(version, text string) string {
	kind, digest := crypto.SHA1, []byte(nil)
	if version == "2" {
		sum := sha256.Sum256([]byte(text))
		kind, digest = crypto.SHA256, sum[:]
	} else {
		sum := sha1.Sum([]byte(text))
		digest = sum[:]
	}
	signature, err := rsa.SignPKCS1v15(nil, s.key, kind, digest)
	if err != nil {
		panic("localaws: sign: " + err.Error()) // a digest of the right length always signs
	}
	return base64.StdEncoding.EncodeToString(signature)
}

// signed are the fields that a signature covers, in the order in which it does: by name. Source:
// "Verifying the signatures of Amazon SNS messages", Developer Guide.
var signed = map[string][]string{
	"Notification":             {"Message", "MessageId", "Subject", "Timestamp", "TopicArn", "Type"},
	"SubscriptionConfirmation": {"Message", "MessageId", "SubscribeURL", "Timestamp", "Token", "TopicArn", "Type"},
	"UnsubscribeConfirmation":  {"Message", "MessageId", "SubscribeURL", "Timestamp", "Token", "TopicArn", "Type"},
}

// seal is the signature of an envelope. It costs about a millisecond, which is more than everything
// else that a publish does. So an envelope is stored with blanks where the signature belongs, and
// whoever looks at it first signs it, once for all the queues that it went to.
type seal struct {
	version   string
	once      sync.Once
	signature string
}

// blank stands where the signature of an envelope will be: as long as one, and no base64.
var (
	blank     = strings.Repeat("*", signatureLength)
	blankText = `"` + blank + `"`
)

// put writes the signature into an envelope. No lock must be held: it may take its time.
func (s *seal) put(envelope string) string {
	if s == nil {
		return envelope
	}
	s.once.Do(func() {
		var fields map[string]any
		if json.Unmarshal([]byte(envelope), &fields) != nil {
			return // it is an envelope: envelope made it
		}
		var text strings.Builder
		kind, _ := fields["Type"].(string)
		for _, name := range signed[kind] {
			if value, has := fields[name].(string); has {
				text.WriteString(name + "\n" + value + "\n")
			}
		}
		s.signature = snsSigner().sign(s.version, text.String())
	})
	// The envelope's own field is the last that can hold the blanks: they follow the message.
	at := strings.LastIndex(envelope, `"Signature" : "`+blank)
	if at < 0 {
		return envelope
	}
	at += len(`"Signature" : "`)
	return envelope[:at] + s.signature + envelope[at+signatureLength:]
}

// certificate answers a request for the certificate, which needs no credentials; nil is another one.
func certificate(r *http.Request) *answer {
	if r.Method != http.MethodGet || r.URL.Path != certificatePath {
		return nil
	}
	return &answer{status: http.StatusOK, header: http.Header{"Content-Type": {"application/x-pem-file"}}, body: snsSigner().pem}
}
