package localaws

import (
	"fmt"
	"net/http"
)

// apiError is an error answer of a service. Status 0 means 400, Type "" means Sender.
type apiError struct {
	Status        int
	Code, Message string
	Type          string // "Sender" or "Receiver"
}

// Error implements error.
func (e *apiError) Error() string { return e.Code + ": " + e.Message }

func (e *apiError) status() int {
	if e.Status == 0 {
		return http.StatusBadRequest
	}
	return e.Status
}

func (e *apiError) fault() string {
	switch {
	case e.Type != "":
		return e.Type
	case e.status() >= http.StatusInternalServerError:
		return "Receiver"
	default:
		return "Sender"
	}
}

// refuse makes the error of a request that is at fault.
func refuse(code, format string, args ...any) *apiError {
	return &apiError{Code: code, Message: fmt.Sprintf(format, args...)}
}

// unsupported makes the error for what AWS can do and this server cannot yet.
func unsupported(what string) *apiError {
	return refuse("UnsupportedOperation", "%s is not supported by this server yet", what)
}
