// Written by vendor.py.
export * from "./marked-18.2.1-5371fea86f.js";
