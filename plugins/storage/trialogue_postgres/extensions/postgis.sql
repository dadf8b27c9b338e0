-- What needs the extension ``postgis``, made when it is there: places as they lie on a sphere.
CREATE INDEX IF NOT EXISTS message_geography ON message
    USING gist (geography(ST_SetSRID(ST_MakePoint(lon, lat), 4326))) WHERE lat IS NOT NULL;
CREATE INDEX IF NOT EXISTS file_geography ON file
    USING gist (geography(ST_SetSRID(ST_MakePoint(lon, lat), 4326))) WHERE lat IS NOT NULL;
