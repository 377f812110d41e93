"""A device in Home Assistant by MQTT: ``device`` (topics and payloads), ``connection`` (the broker), ``publisher``.

The form is Home Assistant's device discovery: one retained message describes the device with all its entities.
"""
