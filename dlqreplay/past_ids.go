package dlqreplay

import "encoding/hex"

// ids holds message ids in little memory, numbered in their order. SQS's are UUIDs, which take 16 bytes;
// any other is kept as it is.
type ids struct {
	packed [][16]byte // zero: in odd, or none
	odd    map[uint32]string
	index  map[[16]byte]uint32
	oddAt  map[string]uint32
}

func (s *ids) find(id string) (uint32, bool) {
	if key, ok := pack(id); ok {
		n, has := s.index[key]
		return n, has
	}
	n, has := s.oddAt[id]
	return n, has
}

// add returns the number of an id, and whether it is new.
func (s *ids) add(id string) (n uint32, isNew bool) {
	if n, has := s.find(id); has {
		return n, false
	}
	n = uint32(len(s.packed))
	s.grow()
	s.set(n, id)
	if key, ok := pack(id); ok {
		if s.index == nil {
			s.index = map[[16]byte]uint32{}
		}
		s.index[key] = n
		return n, true
	}
	if s.oddAt == nil {
		s.oddAt = map[string]uint32{}
	}
	s.oddAt[id] = n
	return n, true
}

func (s *ids) grow() { s.packed = append(s.packed, [16]byte{}) }

func (s *ids) set(n uint32, id string) {
	if key, ok := pack(id); ok {
		s.packed[n] = key
		delete(s.odd, n)
		return
	}
	s.packed[n] = [16]byte{}
	if id == "" {
		delete(s.odd, n)
		return
	}
	if s.odd == nil {
		s.odd = map[uint32]string{}
	}
	s.odd[n] = id
}

func (s *ids) at(n uint32) string {
	if key := s.packed[n]; key != ([16]byte{}) {
		return unpack(key)
	}
	return s.odd[n]
}

// pack returns a UUID's 16 bytes, when unpack gives it back as it is.
func pack(id string) (key [16]byte, ok bool) {
	if len(id) != 36 || id[8] != '-' || id[13] != '-' || id[18] != '-' || id[23] != '-' {
		return key, false
	}
	digits := 0
	for i := range len(id) {
		var v byte
		switch c := id[i]; {
		case i == 8 || i == 13 || i == 18 || i == 23:
			continue
		case '0' <= c && c <= '9':
			v = c - '0'
		case 'a' <= c && c <= 'f':
			v = c - 'a' + 10
		default:
			return key, false
		}
		key[digits/2] |= v << (4 * (1 - digits%2))
		digits++
	}
	return key, key != [16]byte{}
}

func unpack(key [16]byte) string {
	var b [36]byte
	hex.Encode(b[0:8], key[0:4])
	hex.Encode(b[9:13], key[4:6])
	hex.Encode(b[14:18], key[6:8])
	hex.Encode(b[19:23], key[8:10])
	hex.Encode(b[24:], key[10:])
	b[8], b[13], b[18], b[23] = '-', '-', '-', '-'
	return string(b[:])
}

func (s *ids) len() int { return len(s.packed) }
