package main

import "sync"

// behind is how many messages may wait for a page that is slow.
const behind = 64

// hub hands each message to every page.
type hub struct {
	mu    sync.Mutex
	pages map[chan event]bool
}

func newHub() *hub { return &hub{pages: map[chan event]bool{}} }

// join returns where a page hears from now on. It is closed when the page is too slow: it would hold
// up the others, and can come back.
func (h *hub) join() chan event {
	h.mu.Lock()
	defer h.mu.Unlock()
	page := make(chan event, behind)
	h.pages[page] = true
	return page
}

func (h *hub) leave(page chan event) {
	h.mu.Lock()
	defer h.mu.Unlock()
	delete(h.pages, page)
}

func (h *hub) say(e event) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for page := range h.pages {
		select {
		case page <- e:
		default:
			delete(h.pages, page)
			close(page)
		}
	}
}
