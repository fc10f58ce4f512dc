# METADATA
# description: |
#   Production windows, by the clock on the wall where the market is. The renderer turns times of day
#   into minutes and weekdays into the names that OPA gives them.
package tradepulse.authz.windows

import data.tradepulse.authz.bundle
import data.tradepulse.iam

# `names` are the windows on one way to a permission; all that bind in this environment must be open.
open(names) if {
	every name in names {
		_open(name)
	}
}

faults(names) := set() if {
	open(names)
} else := {"outside_production_window"}

# When the open ones among them close.
ends(names) := {instant | some name in names; instant := _closing(name)}

# Of a window that the data does not describe nobody knows where it binds.
_open(name) if {
	iam.windows[name].environments
	not _binds(name)
}

_open(name) if _minutes_left(name)

_binds(name) if input.environment in iam.windows[name].environments

_local(name) := {"minute": (60 * clock[0]) + clock[1], "second": clock[2], "weekday": time.weekday(moment)} if {
	moment := [time.now_ns(), iam.windows[name].timezone]
	clock := time.clock(moment)
}

# Minutes on the wall clock from the running minute to the close; undefined while it is closed.
_minutes_left(name) := window.closes - local.minute if {
	window := iam.windows[name]
	window.opens < window.closes
	local := _local(name)
	local.minute >= window.opens
	local.minute < window.closes
	local.weekday in window.weekdays
} else := (window.closes + 1440) - local.minute if {
	window := iam.windows[name]
	window.opens >= window.closes
	local := _local(name)
	local.minute >= window.opens
	local.weekday in window.weekdays
} else := window.closes - local.minute if {
	# After midnight it is yesterday's window that is still open.
	window := iam.windows[name]
	window.opens >= window.closes
	local := _local(name)
	local.minute < window.closes
	_yesterday[local.weekday] in window.weekdays
}

_yesterday := {
	"Monday": "Sunday",
	"Tuesday": "Monday",
	"Wednesday": "Tuesday",
	"Thursday": "Wednesday",
	"Friday": "Thursday",
	"Saturday": "Friday",
	"Sunday": "Saturday",
}

# Where the clocks change before the window closes, counting minutes would miss the close: on those
# two days a year an answer is good for a second only.
_closing(name) := instant if {
	_binds(name)
	minutes := _minutes_left(name)
	instant := (bundle.now - _local(name).second) + (60 * minutes)
	clock := time.clock([instant * 1000000000, iam.windows[name].timezone])
	(60 * clock[0]) + clock[1] == iam.windows[name].closes % 1440
} else := bundle.now + 1 if {
	_binds(name)
	_minutes_left(name)
}
