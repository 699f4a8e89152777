package broadcast_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/google/go-cmp/cmp"
	"github.com/redis/go-redis/v9"

	"github.com/stationmaster/worker/jobs"
	"github.com/stationmaster/worker/jobs/broadcast"
	"github.com/stationmaster/worker/jobs/jobstest"
	"github.com/stationmaster/worker/retry"
)

func settings(values map[string]any) jobstest.Option { return jobstest.Settings(values) }

var sent = time.Date(2026, 11, 25, 3, 4, 5, 0, time.UTC)

// published is what a test publishes, as everybody should hear it.
var published = broadcast.Message{ID: "m-1", Topic: "invitations", Sent: sent, Body: json.RawMessage(body)}

func message() []jobstest.Option {
	return []jobstest.Option{jobstest.ID("m-1"), jobstest.Envelope("invitations"), jobstest.Sent(sent)}
}

func read(t *testing.T, text string) broadcast.Message {
	t.Helper()
	var m broadcast.Message
	if err := json.Unmarshal([]byte(text), &m); err != nil {
		t.Fatalf("%v: %s", err, text)
	}
	return m
}

func TestAChannelReachesEveryPod(t *testing.T) {
	eachServer(t, func(t *testing.T, s server) {
		pods := make([]*redis.PubSub, 3)
		for n := range pods {
			pods[n] = look(t, &redis.Options{Addr: s.addr}).Subscribe(t.Context(), "live")
			t.Cleanup(func() { _ = pods[n].Close() })
			if _, err := pods[n].Receive(t.Context()); err != nil { // it has subscribed
				t.Fatal(err)
			}
		}
		got := jobstest.Run(t, "broadcast", body, append(message(), settings(map[string]any{"addr": s.addr, "channel": "live"}))...)
		if got.Err != nil {
			t.Fatal(got.Err)
		}
		for n, pod := range pods {
			heard, err := pod.ReceiveMessage(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(published, read(t, heard.Payload)); diff != "" {
				t.Errorf("pod %d: %s", n, diff)
			}
		}
	})
}

func TestAChannelThatNobodyListensToIsNoFailure(t *testing.T) {
	eachServer(t, func(t *testing.T, s server) {
		got := jobstest.Run(t, "broadcast", body, settings(map[string]any{"addr": s.addr, "channel": "live"}))
		if got.Decision.Action != retry.Done {
			t.Error(got.Err)
		}
	})
}

func TestAStreamKeepsMessages(t *testing.T) {
	eachServer(t, func(t *testing.T, s server) {
		for range 2 { // SQS delivers at least once
			got := jobstest.Run(t, "broadcast", body, append(message(), settings(map[string]any{"addr": s.addr, "stream": "live", "db": 1}))...)
			if got.Err != nil {
				t.Fatal(got.Err)
			}
		}
		kept, err := look(t, &redis.Options{Addr: s.addr, DB: 1}).XRange(t.Context(), "live", "-", "+").Result()
		if err != nil || len(kept) != 2 {
			t.Fatalf("%v, %v", kept, err)
		}
		for _, entry := range kept {
			text, _ := entry.Values[broadcast.Field].(string)
			if diff := cmp.Diff(published, read(t, text)); diff != "" {
				t.Error(diff)
			}
		}
	})
}

func TestAStreamIsTrimmed(t *testing.T) {
	// Redis trims whole nodes of a hundred entries, so that what it keeps is a bit more than asked.
	for _, row := range []struct {
		name string
		set  func(*broadcast.Job)
		old  int // entries of long ago
		add  int
		most int64
		slow bool // to fill: once is enough
	}{
		{"by length", func(j *broadcast.Job) { j.MaxLength = 50 }, 0, 320, 150, false},
		{"by age", func(j *broadcast.Job) { j.MaxAge = time.Hour }, 250, 5, 105, false},
		{"by length unless told", func(*broadcast.Job) {}, 10_250, 1, 10_100, true},
	} {
		t.Run(row.name, func(t *testing.T) {
			eachServer(t, func(t *testing.T, s server) {
				if row.slow && s.real {
					t.Skip("miniredis has shown it")
				}
				c := look(t, &redis.Options{Addr: s.addr})
				fill := c.Pipeline()
				for n := range row.old {
					fill.XAdd(t.Context(), &redis.XAddArgs{Stream: "live", ID: fmt.Sprintf("%d-0", n+1), Values: []any{"x", "x"}})
				}
				if _, err := fill.Exec(t.Context()); err != nil {
					t.Fatal(err)
				}
				i := open(t, func(j *broadcast.Job) { j.Addr, j.Stream = s.addr, "live"; row.set(j) })
				for n := range row.add {
					if err := handle(t, i, jobs.Info{ID: fmt.Sprint(n), Raw: body}); err != nil {
						t.Fatal(err)
					}
				}
				n, err := c.XLen(t.Context(), "live").Result()
				if err != nil || n > row.most || n < int64(min(row.add, 50)) {
					t.Errorf("%d entries, %v, want at most %d", n, err, row.most)
				}
				last, err := c.XRevRangeN(t.Context(), "live", "+", "-", 1).Result()
				if err != nil || len(last) != 1 || last[0].Values[broadcast.Field] == nil {
					t.Errorf("last %v, %v", last, err)
				}
			})
		})
	}
}

func TestWhatRedisAnswersDecides(t *testing.T) {
	for _, row := range []struct {
		answer, word string
		action       retry.Action
	}{
		{"WRONGTYPE Operation against a key holding the wrong kind of value", "WRONGTYPE", retry.DeadLetter},
		{"ERR unknown command 'XADD', with args beginning with: 'ada@example.com'", "ERR", retry.DeadLetter},
		{"MOVED 3999 127.0.0.1:6381", "MOVED", retry.DeadLetter},
		{"what is this, ada@example.com", "ERR", retry.DeadLetter},
		{"NOAUTH Authentication required.", "NOAUTH", retry.Again},
		{"NOPERM this user has no permissions to access one of the channels", "NOPERM", retry.Again},
		{"ERR max number of clients reached", "MAXCLIENTS", retry.Again},
		{"LOADING Redis is loading the dataset in memory", "LOADING", retry.Again},
		{"READONLY You can't write against a read only replica.", "READONLY", retry.Again},
		{"OOM command not allowed when used memory > 'maxmemory'.", "OOM", retry.Again},
		{"CLUSTERDOWN The cluster is down", "CLUSTERDOWN", retry.Again},
		{"MISCONF Redis is configured to save RDB snapshots", "MISCONF", retry.Again},
	} {
		for _, where := range []string{"channel", "stream"} {
			m := miniredis.RunT(t)
			i := open(t, func(j *broadcast.Job) {
				j.Addr = m.Addr()
				if j.Channel = "live"; where == "stream" {
					j.Channel, j.Stream = "", "live"
				}
			})
			m.SetError(row.answer)
			err := handle(t, i, jobs.Info{ID: "m-1", Raw: body})
			answer, ok := errors.AsType[*broadcast.AnswerError](err)
			if !ok || answer.Word != row.word || answer.Class() != "redis_"+strings.ToLower(row.word) || retry.IsNever(err) != (row.action == retry.DeadLetter) {
				t.Errorf("%s: %v, permanent %v", row.answer, err, retry.IsNever(err))
			}
			if err != nil && strings.Contains(err.Error(), "ada") {
				t.Errorf("the error quotes: %v", err)
			}
			m.SetError("")
			if err := handle(t, i, jobs.Info{ID: "m-1", Raw: body}); err != nil {
				t.Errorf("%s: afterwards: %v", row.answer, err)
			}
		}
	}
}

func TestAKeyOfAnotherKind(t *testing.T) {
	eachServer(t, func(t *testing.T, s server) {
		if err := look(t, &redis.Options{Addr: s.addr}).Set(t.Context(), "live", "x", 0).Err(); err != nil {
			t.Fatal(err)
		}
		got := jobstest.Run(t, "broadcast", body, settings(map[string]any{"addr": s.addr, "stream": "live"}))
		if got.Decision.Action != retry.DeadLetter || got.Record.Class != "redis_wrongtype" || got.Record.Reason != "broadcast: redis answers WRONGTYPE" {
			t.Errorf("%s, class %s, because %q", got.Decision.Action, got.Record.Class, got.Record.Reason)
		}
	})
}

func TestAFullRedisAndAReplica(t *testing.T) {
	eachServer(t, func(t *testing.T, s server) {
		if !s.real {
			t.Skip("miniredis has all the memory, and no replicas")
		}
		c, i := look(t, &redis.Options{Addr: s.addr}), open(t, func(j *broadcast.Job) { j.Addr, j.Stream = s.addr, "live" })
		for _, row := range []struct{ word, set, to string }{
			{"OOM", "maxmemory", "1"}, {"", "maxmemory", "0"}, {"READONLY", "replicaof", "127.0.0.1 1"},
		} {
			set := []any{"config", "set", row.set, row.to}
			if host, port, found := strings.Cut(row.to, " "); found {
				set = []any{row.set, host, port}
			}
			if err := c.Do(t.Context(), set...).Err(); err != nil {
				t.Fatal(err)
			}
			err := handle(t, i, jobs.Info{ID: "m-1", Raw: body})
			answer, _ := errors.AsType[*broadcast.AnswerError](err)
			if (err == nil) != (row.word == "") || (answer != nil && answer.Word != row.word) || retry.IsNever(err) {
				t.Errorf("%s: %v", row.word, err)
			}
		}
	})
}

func TestLogin(t *testing.T) {
	eachServer(t, func(t *testing.T, s server) {
		user := "publisher"
		if s.real {
			c := look(t, &redis.Options{Addr: s.addr})
			err := c.ACLSetUser(t.Context(), user, "on", ">hunter2", "-@all", "+publish", "resetchannels", "&live").Err()
			if err == nil {
				err = c.ConfigSet(t.Context(), "requirepass", "hunter3").Err()
			}
			if err != nil {
				t.Fatal(err)
			}
		} else {
			s.mini.RequireUserAuth(user, "hunter2")
			s.mini.RequireUserAuth("default", "hunter3")
		}
		with := func(more map[string]any) jobstest.Option {
			values := map[string]any{"addr": s.addr, "channel": "live"}
			maps.Copy(values, more)
			return settings(values)
		}
		for _, good := range []map[string]any{{"username": user, "password": "hunter2"}, {"password": "hunter3"}} {
			if got := jobstest.Run(t, "broadcast", body, with(good)); got.Err != nil {
				t.Errorf("%v: %v", good, got.Err)
			}
		}
		for _, bad := range []map[string]any{{"username": user, "password": "hunter4"}, {"password": "hunter4"}, {}} {
			err := jobstest.Provision(t, "broadcast", with(bad))
			if err == nil || !strings.Contains(err.Error(), "provision: reach Redis at "+s.addr+": redis answers ") || strings.Contains(err.Error(), "hunter") {
				t.Errorf("%v: %v", bad, err)
			}
		}
		if !s.real {
			return // miniredis has no permissions
		}
		got := jobstest.Run(t, "broadcast", body, with(map[string]any{"username": user, "password": "hunter2", "channel": "other"}))
		if answer, ok := errors.AsType[*broadcast.AnswerError](got.Err); !ok || answer.Word != "NOPERM" || got.Decision.Action != retry.Again {
			t.Errorf("another channel: %v", got.Err)
		}
	})
}

func TestTLS(t *testing.T) {
	c := certify(t)
	try := func(t *testing.T, addr string) {
		t.Helper()
		for _, row := range []struct {
			name   string
			values map[string]any
			fine   bool
		}{
			{"trusted", map[string]any{"tls": true, "tls_ca": c.file}, true},
			{"of somebody whom nobody knows", map[string]any{"tls": true}, false},
			{"for another name", map[string]any{"tls": true, "tls_ca": c.file, "addr": strings.Replace(addr, "127.0.0.1", "localhost", 1)}, false},
			{"spoken to without", map[string]any{"timeout": "300ms"}, false},
		} {
			values := map[string]any{"addr": addr, "channel": "live", "password": "hunter2"}
			maps.Copy(values, row.values)
			got := jobstest.Run(t, "broadcast", body, settings(values))
			if (got.Err == nil) != row.fine || got.Decision.Action == retry.DeadLetter {
				t.Errorf("%s: %v", row.name, got.Err)
			}
		}
	}
	t.Run("miniredis", func(t *testing.T) {
		m := miniredis.NewMiniRedis()
		if err := m.StartTLS(c.tls); err != nil {
			t.Fatal(err)
		}
		defer m.Close()
		m.RequireAuth("hunter2")
		try(t, m.Addr())
	})
	t.Run("redis-server", func(t *testing.T) {
		port := free(t)
		start(
			t, "--port", "0", "--tls-port", port, "--tls-cert-file", c.file, "--tls-key-file", c.key,
			"--tls-ca-cert-file", c.file, "--tls-auth-clients", "no", "--requirepass", "hunter2",
		)
		try(t, "127.0.0.1:"+port)
	})
	for file, want := range map[string]string{
		c.not: "tls_ca: " + c.not + ": holds no certificate in PEM", c.file + "x": "tls_ca: open " + c.file + "x: no such file",
	} {
		err := jobstest.Provision(t, "broadcast", settings(map[string]any{"addr": "127.0.0.1:1", "channel": "live", "tls": true, "tls_ca": file}))
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %s", err, want)
		}
	}
}

func TestARedisThatIsDownDoesNotKeepAWorkerFromStarting(t *testing.T) {
	m := miniredis.RunT(t)
	addr := m.Addr()
	m.Close()
	i := open(t, func(j *broadcast.Job) { j.Addr, j.Stream = addr, "live" })
	if err := handle(t, i, jobs.Info{ID: "m-1", Raw: body}); err == nil || retry.IsNever(err) {
		t.Errorf("down: %v", err)
	}
	for range 2 { // the second time with connections of before
		if err := m.Restart(); err != nil {
			t.Fatal(err)
		}
		if err := handle(t, i, jobs.Info{ID: "m-1", Raw: body}); err != nil {
			t.Errorf("up again: %v", err)
		}
		m.Close()
	}
}

func TestARedisThatDoesNotAnswer(t *testing.T) {
	l, err := net.ListenTCP("tcp", &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }() // connections wait in its backlog
	begun := time.Now()
	i := open(t, func(j *broadcast.Job) { j.Addr, j.Channel, j.Timeout = l.Addr().String(), "live", 50*time.Millisecond })
	err = handle(t, i, jobs.Info{ID: "m-1", Raw: body})
	if !errors.Is(err, context.DeadlineExceeded) || retry.IsNever(err) {
		t.Errorf("after %s: %v", time.Since(begun), err)
	}
}

func TestCloseLeavesNoConnection(t *testing.T) {
	m := miniredis.RunT(t)
	if got := jobstest.Run(t, "broadcast", body, settings(map[string]any{"addr": m.Addr(), "channel": "live"})); got.Err != nil {
		t.Fatal(got.Err)
	}
	for end := time.Now().Add(5 * time.Second); m.CurrentConnectionCount() > 0 && time.Now().Before(end); {
		<-time.After(time.Millisecond) // the server sees it a moment later
	}
	if open, all := m.CurrentConnectionCount(), m.TotalConnectionCount(); open != 0 || all != 1 {
		t.Errorf("%d connections are open, of %d for one message", open, all)
	}
}

func TestWhatIsNoJSONIsNotPublished(t *testing.T) {
	m := miniredis.RunT(t)
	got := jobstest.Run(t, "broadcast", "hello", settings(map[string]any{"addr": m.Addr(), "stream": "live"}))
	if got.Record.Class != "decode" || m.Exists("live") {
		t.Errorf("%v, class %s", got.Err, got.Record.Class)
	}
}

func TestAllFaultsOfTheSettingsAtOnce(t *testing.T) {
	for _, row := range []struct {
		values map[string]any
		want   string
	}{
		{nil, "addr: not set: give Redis as host:port\nchannel: not set: give the channel to publish to, or stream for one that keeps messages"},
		{
			map[string]any{
				"addr": "redis", "channel": "a", "stream": "b", "max_length": -1, "max_age": "-1s", "username": "me", "db": -1,
				"tls_ca": "x", "timeout": "0s",
			}, `addr: "redis": must be host:port, like redis.example.com:6379
stream: is set beside channel: remove one of them
max_length: -1: must be 1 or more
max_age: -1s: must be more than 0
password: not set, and username is: set both, or neither
db: -1: must be 0 or more
tls_ca: is set without tls = true
timeout: 0s: must be more than 0`,
		},
		{
			map[string]any{"addr": "redis:99999", "stream": "b", "max_length": 1, "max_age": "1s"},
			"addr: port \"99999\": must be 1 to 65535\nmax_age: is set beside max_length: Redis trims by one of them",
		},
		{map[string]any{"addr": "redis:1", "channel": "b", "max_length": 1}, "max_length, max_age: trim a stream, and none is set"},
	} {
		err := jobstest.Provision(t, "broadcast", settings(row.values))
		if got := strings.TrimPrefix(fmt.Sprint(err), "job broadcast: settings: "); got != row.want {
			t.Errorf("%v:\n%s\nwant:\n%s", row.values, got, row.want)
		}
	}
}
