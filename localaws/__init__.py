"""The embedded AWS: the emulator ministack plus real engines behind the AWS wire APIs that it lacks.

Read in this order: `home` (what an engine may ask of its surroundings), `wire` (AWS protocol to method call),
`engines/` (the services), `adapter` (the only module that knows ministack), `emulator` (start, watch, stop),
`deploy` (a CDK cloud assembly onto it).
"""
