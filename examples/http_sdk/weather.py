"""A small but typical SDK over HTTP: a client that asks a service for the weather."""

import os

import httpx


class WeatherClient:
    """Asks the weather service; needs an API key in WEATHER_API_KEY."""

    def __init__(self, base_url="http://127.0.0.1:8899", timeout=5.0):
        self._http = httpx.Client(base_url=base_url, timeout=timeout, trust_env=False)

    def execute(self, city):
        """Return the temperature in a city, in degrees Celsius."""
        headers = {"Authorization": f"Bearer {os.environ['WEATHER_API_KEY']}"}
        response = self._http.get(f"/cities/{city}", headers=headers)
        response.raise_for_status()
        return response.json()["temperature"]

    def close(self):
        """Close the connections."""
        self._http.close()
