package ingress_test

import (
	"bytes"
	"fmt"
	"net/http/httptest"
	"testing"
)

// BenchmarkServe is one message from the body to the answer: signed, or forged in the most costly way.
func BenchmarkServe(b *testing.B) {
	for _, name := range []string{"signed", "forged"} {
		b.Run(name, func(b *testing.B) {
			g := newGuard(b)
			bodies := make([][]byte, b.N)
			for n := range bodies {
				l := newLetter(fmt.Sprint("m", n)).sign(b, testKey())
				if name == "forged" {
					l.with("Message", "{}")
				}
				bodies[n] = l.body(b)
			}
			b.ReportAllocs()
			b.ResetTimer()
			for n := range bodies {
				r := httptest.NewRequestWithContext(b.Context(), "POST", "/hooks/audit", bytes.NewReader(bodies[n]))
				r.Header.Set("X-Amz-Sns-Message-Type", "Notification")
				w := httptest.NewRecorder()
				g.ServeHTTP(w, r)
				if (w.Code == 200) != (name == "signed") {
					b.Fatal(w.Code)
				}
			}
		})
	}
}
