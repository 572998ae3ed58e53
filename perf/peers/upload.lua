-- wrk: POST of as many bytes as the argument says, on every request.
local request_text

function init(args)
	local len = tonumber(args[1])
	request_text = wrk.format("POST", "/upload",
		{ ["Content-Type"] = "application/octet-stream" }, string.rep("x", len))
end

function request()
	return request_text
end
