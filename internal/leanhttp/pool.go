package leanhttp

import (
	"sync"
	"time"
)

// pool keeps idle connections by host, the last used on top: what is not needed ages at the bottom.
type pool struct {
	most int // per host
	keep time.Duration

	mu    sync.Mutex
	hosts map[address][]*conn
	// sweep runs while there are idle connections; nothing else looks after them.
	sweep *time.Timer
	armed bool
}

type address struct{ scheme, host string }

func (p *pool) get(scheme, host string) *conn {
	at := address{scheme, host}
	p.mu.Lock()
	defer p.mu.Unlock()
	idle := p.hosts[at]
	if len(idle) == 0 {
		return nil
	}
	top := len(idle) - 1
	k := idle[top]
	idle[top] = nil
	p.hosts[at] = idle[:top]
	return k
}

func (p *pool) put(k *conn) {
	at := address{k.scheme, k.host}
	k.idle = time.Now()
	p.mu.Lock()
	if p.hosts == nil {
		p.hosts = map[address][]*conn{}
	}
	if len(p.hosts[at]) >= p.most {
		p.mu.Unlock()
		k.close()
		return
	}
	p.hosts[at] = append(p.hosts[at], k)
	if !p.armed {
		p.armed = true
		if p.sweep == nil {
			p.sweep = time.AfterFunc(p.keep, p.expire)
		} else {
			p.sweep.Reset(p.keep)
		}
	}
	p.mu.Unlock()
}

// expire closes what has been idle for long, and comes again while anything is left.
func (p *pool) expire() {
	var old []*conn
	p.mu.Lock()
	limit := time.Now().Add(-p.keep)
	left := 0
	for at, idle := range p.hosts {
		n := 0
		for n < len(idle) && !idle[n].idle.After(limit) { // the oldest lie at the bottom
			n++
		}
		old = append(old, idle[:n]...)
		p.hosts[at] = append([]*conn(nil), idle[n:]...)
		left += len(idle) - n
	}
	p.armed = left > 0
	if p.armed {
		p.sweep.Reset(p.keep / 2)
	}
	p.mu.Unlock()
	for _, k := range old {
		k.close()
	}
}

func (p *pool) closeIdle() {
	p.mu.Lock()
	hosts := p.hosts
	p.hosts = nil
	p.mu.Unlock()
	for _, idle := range hosts {
		for _, k := range idle {
			k.close()
		}
	}
}
